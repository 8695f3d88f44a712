import resource
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from askonce import answer
from askonce.answer import MAX_DECODED_BYTES, Codec, Meta, decode
from askonce.errors import AnswerUnreadable, ValueInvalid
from askonce.spend import Spend

LIMIT = 1 << 20
ALWAYS = Codec(compress_from=0)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@pytest.fixture(params=["zstd", "zlib"])
def compression(request):
    """Each of the two compressions."""
    return request.param


@pytest.fixture
def packer(compression):
    """How the values of each compression look from outside: the tag, and the compressor."""
    if compression == "zstd":
        return b"z", lambda raw: zstandard.compress(raw, 1)
    return b"d", lambda raw: zlib.compress(raw, 1)


@given(VALUES)
def test_value_comes_back_as_it_went_in(value):
    assert value == decode(Codec().encode(value, LIMIT))
    assert value == decode(ALWAYS.encode([value] * 40, 16 * LIMIT))[39]


def test_large_repetitive_value_is_compressed_and_comes_back(compression, packer):
    tag, _ = packer
    value = {"text": "abc " * 1000}

    data = Codec(compression=compression).encode(value, LIMIT)

    assert tag == data[:1]
    assert len(data) < 500
    assert value == decode(data)


def test_value_that_compression_does_not_shrink_is_kept_as_it_is(compression):
    codec = Codec(compress_from=0, compression=compression)

    assert b'j"abcdefghijklmnopq"' == codec.encode("abcdefghijklmnopq", LIMIT)


def test_small_value_is_not_compressed():
    assert b'j"' + b"a" * 1021 + b'"' == Codec().encode("a" * 1021, LIMIT)
    assert b"d" == Codec().encode("a" * 1022, LIMIT)[:1]


def test_limit_counts_the_bytes_that_are_stored():
    assert b'j"abc"' == Codec().encode("abc", 6)
    with pytest.raises(ValueInvalid, match="limit is 5"):
        Codec().encode("abc", 5)
    assert b"d" == Codec().encode("a" * 100_000, 1000)[:1]


def test_value_too_large_to_be_decoded_is_not_encoded():
    with pytest.raises(ValueInvalid):
        Codec().encode("a" * MAX_DECODED_BYTES, 1 << 30)


@pytest.mark.parametrize(
    "value", [float("nan"), object(), {1: 2}, "\ud800"], ids=["nan", "object", "key", "text"]
)
def test_value_without_a_json_form_is_refused(value):
    with pytest.raises(ValueInvalid):
        Codec().encode(value, LIMIT)


def test_refused_value_is_named_by_its_field():
    with pytest.raises(ValueInvalid) as caught:
        Codec().encode({"items": [1, {"price": float("nan")}]}, LIMIT)

    assert "items[1].price" == caught.value.field


def packed(tag, claim, body):
    return tag + claim.to_bytes(4, "big") + body


def test_value_beyond_its_claim_is_refused_in_bounded_memory(packer):
    tag, pack = packer
    bomb = packed(tag, 1000, pack(b" " * (256 << 20)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(AnswerUnreadable, match="as long as it claims"):
        decode(bomb)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_value_that_claims_too_much_is_not_inflated(packer):
    tag, pack = packer

    with pytest.raises(AnswerUnreadable, match="more than"):
        decode(packed(tag, MAX_DECODED_BYTES + 1, pack(b"1")))


def test_truncated_or_damaged_value_is_refused(packer):
    tag, pack = packer
    raw = b'"' + b"abc " * 1000 + b'"'

    for body in (pack(raw)[:-9], b"\x00" * 20, b""):
        with pytest.raises(AnswerUnreadable):
            decode(packed(tag, len(raw), body))


def test_value_that_inflates_to_no_json_is_refused(packer):
    tag, pack = packer

    with pytest.raises(AnswerUnreadable):
        decode(packed(tag, 3, pack(b"{{{")))


@pytest.mark.parametrize("data", [b"", b"j", b"j{", b"j\xff", b"x123456", b"z", b"d\0"], ids=repr)
def test_bytes_that_no_codec_wrote_are_refused(data):
    with pytest.raises(AnswerUnreadable):
        decode(data)


def test_value_of_a_codec_that_is_not_installed_is_refused(monkeypatch):
    data = Codec(compression="zstd").encode("a" * 5000, LIMIT)
    monkeypatch.setattr(answer, "zstandard", None)

    with pytest.raises(AnswerUnreadable, match="not installed here codec=z"):
        decode(data)


@pytest.mark.parametrize(
    ("data", "codec"), [(b"x", "x"), (b"x123456", "x"), (b"z\0", ""), (b"j{", ""), (b"", "")], ids=repr
)
def test_only_an_unknown_tag_names_a_missing_codec(data, codec):
    with pytest.raises(AnswerUnreadable) as caught:
        decode(data)

    assert codec == caught.value.codec


def test_compression_that_is_not_installed_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(answer, "zstandard", None)

    with pytest.raises(ValueError, match="needs the extra"):
        Codec(compression="zstd")


@given(
    st.builds(
        Meta,
        source=st.sampled_from(["call", "cache", "stale", "default"]),
        attempts=st.integers(1, 9),
        reason=st.sampled_from(["", "http_404"]),
        spend=st.builds(
            Spend,
            cost_usd=st.none() | st.floats(0, 9),
            usage=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=100), st.integers(0, 10**9)),
        ),
    )
)
def test_meta_comes_back_as_it_went_in(meta):
    assert meta == Meta.decode(meta.encode())


def test_absent_meta_is_the_default():
    assert Meta() == Meta.decode(b"")


def test_meta_of_a_newer_version_loses_its_unknown_fields():
    newer = b'{"source":"default","attempts":2,"cost_usd":0.5,"usage":{"n":1},"model":"x","spend":{"eur":1}}'

    expected = Meta(source="default", attempts=2, spend=Spend(cost_usd=0.5, usage={"n": 1}))
    assert expected == Meta.decode(newer)


@pytest.mark.parametrize("data", [b"{}", b'{"attempts":1}'], ids=repr)
def test_meta_of_an_older_version_is_read_with_defaults(data):
    assert Meta() == Meta.decode(data)
