import bz2
import lzma
import resource
import zlib

import pytest
from kombu import compression

from askonce.adapters.kombu.compression import INFLATED_MAX, bound_decoders

pytestmark = pytest.mark.long

#: What packs a body in steps, by the name that Celery's setting has for it.
PACKERS = {"gzip": zlib.compressobj, "bzip2": bz2.BZ2Compressor, "xz": lambda: lzma.LZMACompressor(preset=0)}
MIB = 1 << 20


@pytest.fixture(autouse=True)
def bound(monkeypatch):
    monkeypatch.setattr(compression, "_encoders", dict(compression._encoders))
    monkeypatch.setattr(compression, "_decoders", dict(compression._decoders))
    bound_decoders()


@pytest.fixture(params=PACKERS)
def packed(request):
    """Return a function that packs so many bytes: its result, and its name."""

    def pack(size):
        packer = PACKERS[request.param]()
        whole = [packer.compress(b" " * min(MIB, size - done)) for done in range(0, size, MIB)]
        return b"".join([*whole, packer.flush()]), request.param

    return pack


def test_body_up_to_the_bound_is_inflated(packed):
    assert b" " * INFLATED_MAX == compression.decompress(*packed(INFLATED_MAX))


def test_larger_body_is_refused_in_bounded_memory(packed):
    body, name = packed(256 * MIB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(ValueError, match="inflates to more"):
        compression.decompress(body, name)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_body_one_byte_too_large_or_cut_is_refused(packed):
    body, name = packed(INFLATED_MAX + 1)

    for each in (body, packed(MIB)[0][:-9]):
        with pytest.raises(ValueError, match="inflates to more"):
            compression.decompress(each, name)


def test_body_that_names_a_large_dictionary_is_refused():
    body = lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}])

    with pytest.raises(lzma.LZMAError, match="limit"):
        compression.decompress(body, "xz")


def test_compression_without_a_bound_is_refused():
    compression.register(bytes, bytes, "application/x-other")
    bound_decoders()

    with pytest.raises(ValueError, match="no bound"):
        compression.decompress(b"x", "application/x-other")


def test_sender_compresses_as_before():
    body, content_type = compression.compress(b"text", "gzip")

    assert (b"text", "application/x-gzip") == (zlib.decompress(body), content_type)
