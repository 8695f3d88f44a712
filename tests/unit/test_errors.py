import copy
import json
import pickle

import pytest

from askonce import errors
from askonce.errors import (
    CallFailed,
    Configuration,
    JobError,
    JobFailed,
    PayloadInvalid,
    Permanent,
    RecordDamaged,
    ResultTimeout,
    SendFailed,
    StoreUnavailable,
    Superseded,
    Transient,
)

EVERY = [
    PayloadInvalid(field="items[3].price", reason="NaN and infinity are not JSON"),
    PayloadInvalid.of({"order_id": "Field required", "day": "must be text"}),
    Transient("http_503", retry_after=2.5, maybe_billed=True),
    Transient("http_503"),
    Permanent("http_404", usage={"input_tokens": 3}),
    Configuration("http_401"),
    JobFailed(key="k", job="j", kind="permanent", reason="http_404", attempts=3),
    Superseded(key="k", job="j"),
    ResultTimeout(key="k", state="queued", waited_seconds=1.5),
    SendFailed(key="k", job="j"),
    StoreUnavailable(verb="admit", reason="TimeoutError"),
    RecordDamaged(key="k", reason="wrong_type"),
]


@pytest.mark.parametrize("error", EVERY, ids=repr)
@pytest.mark.parametrize("clone", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_error_survives_a_process_boundary(error, clone):
    again = clone(error)

    assert type(again) is type(error)
    assert again.data == error.data
    assert str(again) == str(error)


def test_transient_keeps_retry_after_over_a_process_boundary():
    again = pickle.loads(pickle.dumps(Transient("http_429", retry_after=2.5, maybe_billed=True)))

    assert (again.retry_after, again.maybe_billed, again.kind) == (2.5, True, "transient")


def test_error_shows_its_situation_and_its_data():
    error = ResultTimeout(key="k", state="queued", waited_seconds=1.5)

    assert str(error) == (
        "The result did not come in time; the job goes on: key=k state=queued waited_seconds=1.5"
    )
    assert repr(error) == "ResultTimeout(key='k', state='queued', waited_seconds=1.5)"


def test_error_that_a_stranger_names_is_one_line():
    error = PayloadInvalid(field="x\n2026-01-01 forged\x1b[2J\x9b2J", reason="is missing")

    assert str(error).endswith("field=x?2026-01-01 forged?[2J?2J reason=is missing")
    assert str(error).isprintable()


def test_payload_error_has_the_reason_of_each_field():
    reasons = {"order_id": "Field required", "day": "must be text"}
    error = PayloadInvalid.of(reasons)

    assert reasons == error.reasons
    assert ("order_id", "Field required") == (error.field, error.reason)
    assert "day" in str(error)
    # A result backend keeps the data as JSON.
    assert reasons == PayloadInvalid(json.loads(json.dumps(error.data))).reasons
    assert {"price": "is missing"} == PayloadInvalid(field="price", reason="is missing").reasons


def test_error_without_data_is_its_situation():
    assert str(JobError()) == "A job could not be done"


def test_unknown_data_is_left_out_of_the_text():
    assert str(Transient("http_503")).endswith(": reason=http_503")


def test_data_is_read_as_attributes():
    error = PayloadInvalid(field="price", reason="is missing")

    assert (error.field, error.reason) == ("price", "is missing")
    with pytest.raises(AttributeError, match=r"^other$"):
        _ = error.other


@pytest.mark.parametrize(
    ("kind", "name"), [(Transient, "transient"), (Permanent, "permanent"), (Configuration, "configuration")]
)
def test_call_failures_have_a_kind_and_one_base(kind, name):
    assert issubclass(kind, CallFailed)
    assert kind("reason").kind == name


def test_every_error_has_the_one_base_and_a_situation_of_its_own():
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]

    assert all(issubclass(each, JobError) for each in kinds)
    assert len({str(each("x") if issubclass(each, CallFailed) else each()) for each in kinds}) == len(kinds)


def test_tree_in_the_docstring_names_every_error():
    kinds = {
        name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, JobError)
    }

    assert {name for name in kinds if name not in errors.__doc__} == set()
