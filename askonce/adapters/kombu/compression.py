"""Bounds what a compressed message may become: kombu would let half a megabyte inflate to two gigabytes.

kombu inflates a body as soon as it has the message, whatever its transport. So the decoders that it has
registered are replaced, in a worker only. A format that cannot be inflated in steps is refused.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from kombu import compression

if TYPE_CHECKING:
    from collections.abc import Callable

#: Bytes of an inflated body; RabbitMQ's own limit of a message.
INFLATED_MAX = 16 << 20
#: Bytes that lzma may take for its dictionary, which the sender chooses.
_LZMA_MEMORY = 128 << 20


def is_bounded(name: object) -> bool:
    """Return whether kombu compresses under this *name*, and a worker inflates what comes of it."""
    try:
        _, content_type = cast("Any", compression).get_encoder(name)
    except (KeyError, TypeError):
        return False
    return content_type in _streams()


def bound_decoders() -> None:
    """Let every message of this process inflate within bounds only."""
    streams = _streams()
    kombus: Any = compression  # the stubs are wrong
    for content_type in kombus.encoders():
        encode, _ = kombus.get_encoder(content_type)
        kombus.register(encode, partial(_inflate, streams.get(content_type)), content_type)


def _streams() -> dict[str, Callable[[], Any]]:
    """Return what inflates in steps, by content type."""
    streams: dict[str, Callable[[], Any]] = {
        "application/x-gzip": zlib.decompressobj,
        "application/x-bz2": bz2.BZ2Decompressor,
        "application/x-lzma": partial(lzma.LZMADecompressor, memlimit=_LZMA_MEMORY),
    }
    # kombu has it where it is installed.
    if zstd := getattr(compression, "zstd", None):
        streams["application/zstd"] = zstd.ZstdDecompressor
    return streams


def _inflate(new_stream: Callable[[], Any] | None, body: bytes) -> bytes:
    if new_stream is None:
        raise ValueError("this compression has no bound")
    stream = new_stream()
    inflated: bytes = stream.decompress(body, INFLATED_MAX + 1)
    if len(inflated) > INFLATED_MAX or not stream.eof:
        raise ValueError(f"the body is cut, or inflates to more than {INFLATED_MAX} bytes")
    return inflated
