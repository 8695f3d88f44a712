from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import PayloadInvalid
from askonce.key import identify
from tasks.catalog import CustomerPayload, MeetingPayload, OrderPayload, catalog
from tasks.payloads import input_of

MARKER = "hunter2-of-ana-souza"

ORDER = {"order_id": "o-1", "cliente_id": 7}
CUSTOMER = {"cliente_id": "c-7"}
MEETING = {"meeting_id": "m-1", "transcript": "Ana: bom dia."}

KINDS = {
    "order": (OrderPayload, ORDER),
    "customer": (CustomerPayload, CUSTOMER),
    "meeting": (MeetingPayload, MEETING),
}
SPECS = catalog(
    SimpleNamespace(
        cache_ttl_hours=24.0,
        cache_fallback_enabled=False,
        openai_model="model-1",
        job_lease=30.0,
        job_queue_deadline=60.0,
    )
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
IDS = TEXT | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.fixed_dictionaries(
    {"order_id": IDS, "cliente_id": IDS, "meeting_id": IDS, "transcript": TEXT},
    optional={
        "meet_date": TEXT | st.datetimes(timezones=st.timezones() | st.none()),
        "customer_id": IDS | st.none(),
        "note": IDS,
    },
)


@pytest.mark.parametrize(("model", "payload"), KINDS.values(), ids=KINDS)
def test_complete_payload_is_accepted(model, payload):
    assert payload.keys() == input_of(model)(payload).keys()


@pytest.mark.parametrize(("model", "payload"), KINDS.values(), ids=KINDS)
def test_fields_that_a_task_does_not_use_are_dropped(model, payload):
    assert input_of(model)(payload) == input_of(model)({**payload, "note": [1, {"x": None}]})


MISSING = [(model, payload, name) for model, payload in KINDS.values() for name in payload]


@pytest.mark.parametrize(("model", "payload", "name"), MISSING)
def test_missing_field_is_named(model, payload, name):
    with pytest.raises(PayloadInvalid) as caught:
        input_of(model)({key: value for key, value in payload.items() if key != name})

    assert (caught.value.field, caught.value.reason) == (name, "Field required")


def test_all_fields_that_are_missing_or_wrong_are_named_at_once():
    with pytest.raises(PayloadInvalid) as caught:
        input_of(MeetingPayload)({"meeting_id": "  ", "meet_date": 7})

    assert {
        "meeting_id": "must not be blank",
        "transcript": "Field required",
        "meet_date": "must be text",
    } == caught.value.reasons


def test_spec_says_which_fields_every_row_must_have():
    assert ("order_id", "cliente_id") == SPECS["orders.enrich"].input.required
    assert ("meeting_id", "transcript") == SPECS["meetings.full"].input.required


@pytest.mark.parametrize("value", ["", "   ", None, 1.5, True, ["a"], {"a": 1}], ids=repr)
@pytest.mark.parametrize(("model", "payload", "name"), MISSING)
def test_value_of_a_wrong_type_is_refused_by_its_fields_name(model, payload, name, value):
    with pytest.raises(PayloadInvalid) as caught:
        input_of(model)({**payload, name: value})

    assert caught.value.field == name


def test_transcript_is_text():
    with pytest.raises(PayloadInvalid, match="field=transcript"):
        input_of(MeetingPayload)({**MEETING, "transcript": 7})


@pytest.mark.parametrize("name", ["meet_date", "customer_id"])
def test_meeting_may_be_without_date_and_customer(name):
    assert input_of(MeetingPayload)({**MEETING, name: None}) == MEETING

    with pytest.raises(PayloadInvalid, match=f"field={name}"):
        input_of(MeetingPayload)({**MEETING, name: "  "})


@pytest.mark.parametrize("value", [[MARKER], {"x": MARKER}])
def test_refused_value_is_not_repeated(value):
    with pytest.raises(PayloadInvalid) as caught:
        input_of(OrderPayload)({"order_id": value, "cliente_id": MARKER})

    assert MARKER not in repr(caught.value)
    assert MARKER not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("task", ["orders.enrich", "meetings.extract"])
@given(ROWS)
def test_payload_that_the_worker_receives_has_the_same_key(task, row):
    try:
        job = identify(SPECS[task], row, job_id="job-1")
    except PayloadInvalid:
        return

    assert job == identify(SPECS[task], orjson.loads(job.payload), job_id="job-1")


@pytest.mark.parametrize("operation", ["extract", "analyze", "full"])
def test_tasks_of_one_meeting_have_keys_of_their_own(operation):
    row = {**MEETING, "operation": operation, "text": MEETING["transcript"]}
    others = {identify(spec, row).key for name, spec in SPECS.items() if name.startswith("meetings.")}

    assert identify(SPECS[f"meetings.{operation}"], row).key in others
    assert 4 == len(others)


def test_each_task_shows_its_ids_and_no_other_field():
    shown = {name: spec.shown for name, spec in SPECS.items()}

    meeting = ("meeting_id", "customer_id")
    assert shown == {
        "orders.enrich": ("order_id", "cliente_id"),
        "customers.lookup": ("cliente_id",),
        **{f"meetings.{operation}": meeting for operation in ("extract", "analyze", "full")},
        "meetings.part": (),
    }


def test_row_of_an_order_is_joined_to_the_customer():
    row = {**ORDER, "total": 1.5, "cliente_nome": "?"}

    joined = SPECS["orders.enrich"].present(row, {"cliente_nome": "Ana Souza", "cliente_fonte": "api"})

    assert {**ORDER, "total": 1.5, "cliente_nome": "Ana Souza", "cliente_fonte": "api"} == joined
    assert "?" == row["cliente_nome"]
