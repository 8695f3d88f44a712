import unicodedata
from collections import UserDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from uuid import UUID

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel

from askonce.canonical import to_json
from askonce.errors import PayloadInvalid
from askonce.key import identify
from askonce.spec import JobSpec

SPEC = JobSpec(name="orders.enrich", key_fields=())
BY_ORDER = JobSpec(name="orders.enrich", key_fields=("order_id", "shop"))

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
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


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Part(BaseModel):
    count: int
    at: datetime


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

    assert identify(SPEC, payload) == identify(SPEC, {name: payload[name] for name in names})


@given(PAYLOADS)
def test_what_the_worker_receives_has_the_same_key(payload):
    assume_distinct_names(payload)

    identity = identify(SPEC, payload)

    assert identity == identify(SPEC, orjson.loads(identity.payload))


def test_key_and_fingerprint_are_hex_digests():
    identity = identify(SPEC, {"n": 1})

    assert (64, 64) == (len(identity.key), len(identity.fingerprint))
    assert set(identity.key + identity.fingerprint) <= set("0123456789abcdef")
    assert b'{"n":1}' == identity.payload


def test_numbers_text_and_truth_are_told_apart():
    assert 5 == len({key_of({"n": n}) for n in (1, "1", 1.0, True, None)})


def test_list_is_told_from_its_text_and_from_its_nesting():
    assert 4 == len({key_of({"n": n}) for n in ([], [[]], "[]", {})})


def test_missing_field_is_told_from_an_empty_one():
    assert key_of({}) != key_of({"n": None})


def test_negative_zero_is_zero():
    assert key_of({"n": 0.0}) == key_of({"n": -0.0})


def test_two_ways_to_write_an_accent_are_one():
    composed, split = "Jo\u00e3o", "Joa\u0303o"

    assert composed != split
    assert key_of({"name": composed}) == key_of({"name": split})
    assert key_of({composed: 1}) == key_of({split: 1})


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (datetime(2026, 11, 20, 9, 30, tzinfo=timezone(timedelta(hours=-3))), "2026-11-20T12:30:00+00:00"),
        (datetime(2026, 11, 20, 12, 30, tzinfo=UTC), "2026-11-20T12:30:00+00:00"),
        (datetime(2026, 11, 20, 9, 30), "2026-11-20T09:30:00"),  # noqa: DTZ001  # naive on purpose
        (date(2026, 11, 20), "2026-11-20"),
        (time(9, 30), "09:30:00"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        ((1, 2), [1, 2]),
        (UserDict(n=1), {"n": 1}),
        (Part(count=1, at=datetime(2026, 11, 20, tzinfo=UTC)), {"count": 1, "at": "2026-11-20T00:00:00Z"}),
    ],
    ids=lambda value: f"{type(value).__name__}-{value}",
)
def test_declared_type_has_one_json_form(value, json):
    assert key_of({"field": value}) == key_of({"field": json})


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"price": float("nan")}, "price"),
        ({"items": [{"price": 1.0}, {"price": float("inf")}]}, "items[1].price"),
        ({"items": [1, float("-inf")]}, "items[1]"),
        ({"price": Decimal("NaN")}, "price"),
        ({"name": "\ud800"}, "name"),
        ({"a": {"\udfff": 1}}, "a"),
        ({"a": {1: 2}}, "a"),
        ({"a": {None: 2}}, "a"),
        ({1: 2}, ""),
        ({"a": [2**64]}, "a[0]"),
        ({"a": -(2**63) - 1}, "a"),
        ({"a": {"b": {1, 2}}}, "a.b"),
        ({"a": b"raw"}, "a"),
        ({"a": object()}, "a"),
        ({"a": 1j}, "a"),
        ({"a": {"\u00e3": 1, "a\u0303": 2}}, "a"),
        ({"x": None, "a": {"b": [0, float("nan")]}}, "a.b[1]"),
    ],
    ids=range(17),
)
def test_what_json_can_not_say_is_refused_by_the_name_of_its_field(payload, field):
    assert field == refusal(payload).field


@pytest.mark.parametrize("payload", [None, [], "text", 1], ids=repr)
def test_payload_must_be_an_object(payload):
    assert "must be an object" in refusal(payload).reason


def test_endless_payload_is_refused():
    loop = {}
    loop["again"] = loop

    assert "nested deeper" in refusal(loop).reason


@pytest.mark.parametrize("value", [{"secret-1"}, b"secret-1", Decimal("NaN")], ids=["set", "bytes", "nan"])
def test_refusal_never_quotes_the_payload(value):
    error = refusal({"a": value, "b": "secret-2"})

    assert "secret" not in f"{error} {error!r}"


@given(PAYLOADS, st.tuples(TEXT, TEXT, TEXT), st.tuples(TEXT, TEXT, TEXT))
def test_other_task_version_or_tenant_is_another_key(payload, one, other):
    assume_distinct_names(payload)
    assume(one != other)

    keys = {key_of(payload, JobSpec(name=n, version=v), tenant) for n, v, tenant in (one, other)}

    assert 2 == len(keys)


def test_text_does_not_slip_between_task_version_and_tenant():
    quoted = [("a", "b", "c"), ('a","b', "c", ""), ("", 'a","b","c', ""), ("ab", "c", ""), ("a", "bc", "")]

    assert len(quoted) == len({key_of({}, JobSpec(name=n, version=v), t) for n, v, t in quoted})


def test_key_is_made_of_the_key_fields_only_and_the_fingerprint_of_everything():
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


def test_payload_that_the_task_can_not_use_is_refused():
    def validate(payload):
        raise PayloadInvalid(field="order_id", reason="must be positive")

    with pytest.raises(PayloadInvalid, match="order_id"):
        identify(JobSpec(name="t", validate=validate), {})


def test_payload_that_changes_afterwards_leaves_its_identity():
    payload = {"items": [1, 2]}
    identity = identify(SPEC, payload)

    payload["items"].append(3)

    assert b'{"items":[1,2]}' == identity.payload
    assert identity == identify(SPEC, {"items": [1, 2]})


def test_answers_keep_their_unicode_form_and_payloads_do_not():
    split = "Joa\u0303o"

    assert split in to_json([split]).decode()
    assert split not in to_json([split], canonical=True).decode()
