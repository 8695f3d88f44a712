import tracemalloc
import unicodedata
from dataclasses import replace
from uuid import UUID

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from askonce.errors import PayloadInvalid
from askonce.fields import as_id
from askonce.key import identify, with_shown
from askonce.spec import JobSpec

SPEC = JobSpec(name="orders.enrich", key_fields=())
BY_ORDER = JobSpec(name="orders.enrich", key_fields=("order_id", "shop"))
SHOWN = JobSpec(name="orders.enrich", shown=("order_id", "seat"))
BY_INPUT = JobSpec(
    name="orders.enrich",
    key_fields=("order_id",),
    input=lambda row: {"order_id": as_id(row["order_id"]), "day": row.get("day")},
)
MARKER = "hunter2-of-ana-souza"

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
#: A name and a version are printable lines.
LINE = TEXT.filter(str.isprintable)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
PAYLOADS = st.dictionaries(TEXT, VALUES, max_size=4)


def identified(payload):
    return identify(SPEC, payload, job_id="job-1")


def key_of(payload, spec=SPEC, tenant=""):
    return identify(spec, payload, tenant).key


def refusal(payload):
    with pytest.raises(PayloadInvalid) as caught:
        identify(SPEC, payload)
    return caught.value


def plain(value):
    """What JSON says of `value`, written down with its types: an oracle that shares no code with ours."""
    match value:
        case dict():
            pairs = ((unicodedata.normalize("NFC", name), plain(item)) for name, item in value.items())
            return ("object", tuple(sorted(pairs)))
        case list():
            return ("list", tuple(plain(item) for item in value))
        case str():
            return ("text", unicodedata.normalize("NFC", value))
        case float():
            return ("float", repr(value + 0.0))
    return (type(value).__name__, repr(value))


def assume_distinct_names(value):
    if isinstance(value, dict):
        assume(len({unicodedata.normalize("NFC", name) for name in value}) == len(value))
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        assume_distinct_names(item)


@given(PAYLOADS, PAYLOADS)
def test_keys_are_equal_exactly_when_the_payloads_are(one, other):
    assume_distinct_names([one, other])

    assert (plain(one) == plain(other)) == (key_of(one) == key_of(other))


@given(PAYLOADS, st.randoms())
def test_order_of_fields_does_not_matter(payload, random):
    assume_distinct_names(payload)
    names = list(payload)
    random.shuffle(names)

    assert identified(payload) == identified({name: payload[name] for name in names})


@given(PAYLOADS)
def test_payload_that_the_worker_receives_has_the_same_key(payload):
    assume_distinct_names(payload)

    job = identified(payload)

    assert job == identified(orjson.loads(job.payload))


def test_key_and_fingerprint_are_hex_digests():
    job = identified({"n": 1})

    assert (64, 64) == (len(job.key), len(job.fingerprint))
    assert set(job.key + job.fingerprint) <= set("0123456789abcdef")
    assert b'{"n":1}' == job.payload


@pytest.mark.parametrize("payload", [None, [], "text", 1], ids=repr)
def test_payload_must_be_an_object(payload):
    assert "must be an object" in refusal(payload).reason


@given(PAYLOADS, st.tuples(LINE, LINE, TEXT), st.tuples(LINE, LINE, TEXT))
def test_other_task_version_or_tenant_is_another_key(payload, one, other):
    assume_distinct_names(payload)
    assume(one != other)

    keys = {key_of(payload, JobSpec(name=n, version=v), tenant) for n, v, tenant in (one, other)}

    assert 2 == len(keys)


def test_text_does_not_slip_between_task_version_and_tenant():
    quoted = [("a", "b", "c"), ('a","b', "c", ""), ("", 'a","b","c', ""), ("ab", "c", ""), ("a", "bc", "")]

    assert len(quoted) == len({key_of({}, JobSpec(name=n, version=v), t) for n, v, t in quoted})


def test_key_covers_the_key_fields_and_fingerprint_everything():
    one = identify(BY_ORDER, {"order_id": 7, "shop": "x", "note": "a"})
    other = identify(BY_ORDER, {"note": "b", "shop": "x", "order_id": 7})

    assert one.key == other.key
    assert one.fingerprint != other.fingerprint
    assert one.key != key_of({"order_id": 8, "shop": "x"}, BY_ORDER)


@pytest.mark.parametrize("lacking", [{"order_id": 7}, {"order_id": 7, "shop": None}, {}], ids=repr)
def test_payload_that_lacks_a_key_field_is_its_own_identity(lacking):
    one, other = ({**lacking, "note": note} for note in "ab")

    assert key_of(one, BY_ORDER) != key_of(other, BY_ORDER)
    assert key_of(one, BY_ORDER) == key_of(dict(one), BY_ORDER)


def test_payload_over_the_limit_is_refused_with_its_size():
    spec = JobSpec(name="t", max_payload_bytes=10)

    assert b'{"n":1234}' == identify(spec, {"n": 1234}).payload
    with pytest.raises(PayloadInvalid, match="11 bytes, more than 10"):
        identify(spec, {"n": 12345})


def test_key_and_fingerprint_cover_what_the_input_returns():
    rows = [{"order_id": 7, "day": None}, {"order_id": " 7", "total": 1.5}, {"order_id": "7", "total": 2}]

    assert 1 == len({identify(BY_INPUT, row, job_id="job-1") for row in rows})
    assert b'{"order_id":"7"}' == identify(BY_INPUT, rows[0]).payload


def test_key_fields_are_read_after_the_input():
    one, other = ({"order_id": 7, "day": day} for day in ("2026-11-26", "2026-11-27"))

    assert key_of(one, BY_INPUT) == key_of(other, BY_INPUT)
    assert identify(BY_INPUT, one).fingerprint != identify(BY_INPUT, other).fingerprint


def test_truth_is_not_a_number():
    assert key_of({"n": True}) != key_of({"n": 1})
    assert key_of({"n": 7.0}) != key_of({"n": 7}) != key_of({"n": "7"})


@pytest.mark.parametrize(
    "value", [float("nan"), "\ud800", 2**64, {1}], ids=["NaN", "surrogate", "int", "set"]
)
def test_field_that_the_task_drops_must_be_json(value):
    with pytest.raises(PayloadInvalid, match="field=total"):
        identify(BY_INPUT, {"order_id": 7, "total": value})


def test_both_forms_of_a_payload_are_counted():
    grows = replace(BY_INPUT, input=lambda _row: {"order_id": "0" * 99}, max_payload_bytes=90)
    small = replace(BY_INPUT, max_payload_bytes=30)

    assert identify(small, {"order_id": 7, "note": "123456"})
    with pytest.raises(PayloadInvalid, match="31 bytes, more than 30"):
        identify(small, {"order_id": 7, "note": "1234567"})
    with pytest.raises(PayloadInvalid, match="114 bytes, more than 90"):
        identify(grows, {"order_id": 7})


class Order(BaseModel):
    order_id: str
    day: str | None = None


def test_pydantic_model_can_be_the_input():
    spec = JobSpec(name="orders.enrich", input=Order.model_validate)

    assert b'{"order_id":"7"}' == identify(spec, {"order_id": "7", "note": "x"}).payload
    with pytest.raises(PayloadInvalid, match="field=order_id reason=string_type") as caught:
        identify(spec, {"order_id": [MARKER]})
    assert caught.value.__suppress_context__


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order_id: str
    day: str


def test_every_field_that_a_pydantic_model_refuses_is_named():
    spec = JobSpec(name="t", input=Strict.model_validate)

    with pytest.raises(PayloadInvalid) as caught:
        identify(spec, {"day": 7, "note": MARKER})

    assert {"order_id": "missing", "day": "string_type", "note": "extra_forbidden"} == caught.value.reasons
    assert MARKER not in str(caught.value)
    with pytest.raises(PayloadInvalid) as caught:
        identify(spec, dict.fromkeys(map(str, range(999))))
    assert 20 == len(caught.value.reasons)


MISTAKES = {
    "raises": (lambda row: row[MARKER], r"KeyError@test_key.py:\d+"),
    "quotes the payload": (lambda row: int(row["order_id"]), r"ValueError@test_key.py:\d+"),
    "returns nothing": (lambda _row: None, "input returned NoneType, not an object"),
    "returns text": (lambda _row: "7", "input returned str, not an object"),
}


@pytest.mark.parametrize(("read", "reason"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_in_the_input_refuses_the_payload(read, reason):
    with pytest.raises(PayloadInvalid, match=reason) as caught:
        identify(JobSpec(name="t", input=read), {"order_id": MARKER})

    assert MARKER not in f"{caught.value}{caught.value!r}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_payload_that_changes_afterwards_leaves_its_identity():
    payload = {"items": [1, 2]}
    job = identified(payload)

    payload["items"].append(3)

    assert b'{"items":[1,2]}' == job.payload
    assert job == identified({"items": [1, 2]})


def test_job_keeps_no_more_memory_than_its_payload_needs():
    tracemalloc.start()
    try:
        jobs = [identify(SPEC, {"number": number}) for number in range(200)]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept / len(jobs) < 1000


def shown_of(**payload):
    return dict(identify(SHOWN, payload).shown)


def test_job_carries_the_fields_that_its_spec_shows_and_no_other():
    assert shown_of(order_id="PED-1", seat=7, note=MARKER) == {"order_id": "PED-1", "seat": 7}
    assert shown_of(order_id=None, note=MARKER) == {}
    assert identify(SPEC, {"order_id": "PED-1"}).shown == ()


def test_shown_field_is_read_after_the_input():
    spec = replace(BY_INPUT, shown=("order_id", "day"))

    assert identify(spec, {"order_id": " 7", "total": MARKER}).shown == (("order_id", "7"),)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a\nb",
        "\x1b[31m",
        "a\u202eb",
        "a\u200bb",
        "x" * 65,
        "\ufb2c" * 32,
        1.5,
        True,
        ["PED-1"],
        {"id": "PED-1"},
    ],
    ids=repr,
)
def test_shown_value_that_is_no_id_is_left_out(value):
    assert shown_of(order_id=value, seat=1) == {"seat": 1}


@pytest.mark.parametrize(
    "value", ["x" * 64, "PEDIDO-\u00e7\u00e3", 2**64 - 1, -1, "it's", 'a"b', "a\\b"], ids=repr
)
def test_shown_value_is_shown_as_it_is(value):
    assert shown_of(order_id=value) == {"order_id": value}


def test_shown_value_has_the_form_that_its_record_has():
    number = UUID(int=7)

    assert shown_of(order_id=number, seat="c\u0327") == {"order_id": str(number), "seat": "\u00e7"}


@given(st.dictionaries(st.sampled_from(["order_id", "seat", "note"]), VALUES))
def test_job_that_a_store_kept_shows_what_its_producer_showed(payload):
    job = identify(SHOWN, payload, job_id="job-1")
    kept = identified(payload)

    assert with_shown(SHOWN, kept) == job


@pytest.mark.parametrize("payload", [b"", b"{", b"[7]", b'"PED-1"'], ids=repr)
def test_damaged_payload_shows_nothing(payload):
    job = identify(SHOWN, {"order_id": "PED-1"})

    assert with_shown(SHOWN, job._replace(payload=payload, shown=())).shown == ()
