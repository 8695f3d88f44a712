import unicodedata

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from askonce.errors import PayloadInvalid
from askonce.key import identify
from askonce.spec import JobSpec

SPEC = JobSpec(name="orders.enrich", key_fields=())
BY_ORDER = JobSpec(name="orders.enrich", key_fields=("order_id", "shop"))

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
#: A version is one line.
LINE = TEXT.filter(lambda text: "\n" not in text)
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


@given(PAYLOADS, st.tuples(TEXT, LINE, TEXT), st.tuples(TEXT, LINE, TEXT))
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


def test_payload_that_validation_refuses_is_refused():
    def validate(payload):
        raise PayloadInvalid(field="order_id", reason="must be positive")

    with pytest.raises(PayloadInvalid, match="order_id"):
        identify(JobSpec(name="t", validate=validate), {})


def test_payload_that_changes_afterwards_leaves_its_identity():
    payload = {"items": [1, 2]}
    job = identified(payload)

    payload["items"].append(3)

    assert b'{"items":[1,2]}' == job.payload
    assert job == identified({"items": [1, 2]})
