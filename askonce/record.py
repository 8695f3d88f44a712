"""The record of one key: its states, and the bytes of its answers.

A record has two independent parts. The *value* is none, fresh, stale, or overlaid by a failure that
answers for a while. The *flight* is idle, queued (a message is under way) or running (leased).

               admit                 start                complete
    ABSENT ───────────► QUEUED ───────────────► RUNNING ───────────► DONE
                          ▲ ▲   fail(transient)   │ │                  │ soft_ttl
                          │ └─────────────────────┘ │ fail(permanent)  ▼
                          │      release, reap      ├────► FAILED    STALE ── admit ──► QUEUED
                          │                         │                  │ hard_ttl
                          └── admit, once it is over┴────► QUARANTINED └────► ABSENT
                                                        attempts spent

A stale value stays readable while its refresh is queued or running.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, cast

import orjson

from askonce.errors import PayloadInvalid, ValueInvalid
from askonce.key import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

try:
    import zstandard
except ImportError:  # the answer is the same, only larger
    zstandard = None  # type: ignore[assignment]  # the optional extra "zstd"

_DAMAGED = (zlib.error, zstandard.ZstdError) if zstandard else (zlib.error,)

Source = Literal["call", "cache", "stale", "default"]
Flight = Literal["idle", "queued", "running"]
#: A fallback is a failure whose waiters get a substitute.
FailureOrFallback = Literal["transient", "permanent", "configuration", "quarantined", "fallback"]

#: No answer may be larger than this when decoded, whatever its compressed size says.
MAX_DECODED_BYTES = 16 << 20


class Status(Enum):
    """What a person is told about a key."""

    #: Nothing is known.
    ABSENT = "absent"
    #: A job waits for a worker.
    QUEUED = "queued"
    #: A worker holds the lease.
    RUNNING = "running"
    #: The answer is fresh.
    DONE = "done"
    #: The answer may be served only when a call fails.
    STALE = "stale"
    #: The call can not succeed for this payload; kept for failure_ttl.
    FAILED = "failed"
    #: The attempts are spent; a person decides.
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a task body may return instead of a bare value.

    A *source* other than ``call`` marks a fallback: it reaches this job's waiters and is never kept
    as a fresh value.
    """

    value: object
    source: Source = "call"
    #: What the call cost; None is unknown, never 0.
    cost_usd: float | None = None
    #: Provider's counts, such as ``input_tokens``.
    usage: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What is kept beside an answer."""

    source: Source = "call"
    attempts: int = 1
    cost_usd: float | None = None
    usage: Mapping[str, int] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the form that the record keeps."""
        return orjson.dumps(
            {
                "source": self.source,
                "attempts": self.attempts,
                "cost_usd": self.cost_usd,
                "usage": dict(self.usage),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what ``encode`` wrote."""
        return cls(**orjson.loads(data)) if data else cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValue:
    """An answer as the record keeps it."""

    data: bytes
    meta: Meta
    fence: int
    #: UTC, seconds since 1970, by the store's clock.
    stored_at: float
    age: float
    fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why the last run of a job gave no answer; a fallback carries what its waiters get."""

    kind: FailureOrFallback
    reason: str
    job: str
    #: Seconds for which the failure still answers in place of a call.
    remaining: float
    fallback: StoredValue | None = None


class Snapshot(NamedTuple):
    """One record at one moment of the store's clock; times in seconds.

    *task*, *fingerprint* and *owner* are told by ``read`` alone: whoever writes knows the first two, and the
    third is the right to write.
    """

    present: bool = False
    task: str = ""
    fingerprint: str = ""
    flight: Flight = "idle"
    job: str = ""
    owner: str = ""
    fence: int = 0
    #: Until the lease ends or the message counts as lost; negative when it is over.
    deadline_in: float = 0.0
    attempts: int = 0
    resent: int = 0
    #: Until the next attempt may start.
    wait: float = 0.0
    checkpoint: str = ""
    value: StoredValue | None = None
    failure: Failure | None = None

    @property
    def status(self) -> Status:
        """Classify the record for a person."""
        if self.flight != "idle":
            return Status.RUNNING if self.flight == "running" else Status.QUEUED
        if self.failure is not None and self.failure.remaining > 0:
            if self.failure.kind == "quarantined":
                return Status.QUARANTINED
            if self.failure.kind == "permanent":
                return Status.FAILED
        if self.value is None:
            return Status.ABSENT
        return Status.DONE if self.value.fresh else Status.STALE


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An answer as its asker gets it. Times in seconds."""

    key: str
    job: str
    value: object
    #: ``call``: made for this job; ``cache``: kept from before; ``stale``: too old, but the call
    #: failed; ``default``: the body's own substitute.
    source: Source
    age: float
    attempts: int
    #: Rises with every run of a key: a downstream store refuses a lower one.
    fence: int
    #: None is unknown, never 0.
    cost_usd: float | None
    usage: Mapping[str, int]
    #: UTC, since 1970, by the store's clock.
    stored_at: float
    #: Made or kept without the store: an equal call may have been made elsewhere meanwhile.
    degraded: bool = False


def to_result(key: str, job: str, stored: StoredValue, source: Source | None = None) -> Result:
    """Decode *stored* for an asker; *source* overrides what was recorded.

    Raises:
        ValueInvalid: it was written with a codec that is not installed here.
    """
    return Result(
        key=key,
        job=job,
        value=decode(stored.data),
        source=source or stored.meta.source,
        age=stored.age,
        attempts=stored.meta.attempts,
        fence=stored.fence,
        cost_usd=stored.meta.cost_usd,
        usage=stored.meta.usage,
        stored_at=stored.stored_at,
    )


def readable(key: str, job: str, stored: StoredValue | None, source: Source) -> Result | None:
    """Decode *stored* if there is one and this installation can; a foreign codec is a miss."""
    try:
        return to_result(key, job, stored, source) if stored else None
    except ValueInvalid:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """Values as bytes: one tag byte, then JSON, or its raw length and compressed JSON."""

    #: Bytes of JSON from which compression is tried; kept when it saves more than a tenth.
    compress_from: int = 1024

    def encode(self, value: object, limit: int) -> bytes:
        """Encode *value* for the store.

        Raises:
            ValueInvalid: it has no JSON form, or is larger than *limit* bytes as stored.
        """
        try:
            raw = to_json(value)
        except PayloadInvalid as exc:
            raise ValueInvalid(field=exc.field, reason=exc.reason) from None
        data = self._smallest(raw)
        if len(data) > limit or len(raw) > MAX_DECODED_BYTES:
            raise ValueInvalid(
                field="", reason=f"{len(data)} bytes stored, {len(raw)} raw; the limit is {limit}"
            )
        return data

    def _smallest(self, raw: bytes) -> bytes:
        if len(raw) < self.compress_from:
            return b"j" + raw
        packed = zstandard.compress(raw, 1) if zstandard else zlib.compress(raw, 1)
        if len(packed) >= 0.9 * len(raw):
            return b"j" + raw
        return (b"z" if zstandard else b"d") + len(raw).to_bytes(4, "big") + packed


def decode(data: bytes) -> object:
    """Decode what a Codec wrote; never allocates more than MAX_DECODED_BYTES.

    Raises:
        ValueInvalid: the tag is unknown here, the length is a lie, or it is no JSON.
    """
    tag, body = data[:1], data[1:]
    try:
        return cast("object", orjson.loads(body if tag == b"j" else _unpack(tag, body)))
    except orjson.JSONDecodeError:
        raise ValueInvalid(field="", reason="is not JSON") from None


def _unpack(tag: bytes, body: bytes) -> bytes:
    length, packed = int.from_bytes(body[:4], "big"), body[4:]
    if length > MAX_DECODED_BYTES:
        raise ValueInvalid(field="", reason=f"claims {length} bytes, more than {MAX_DECODED_BYTES}")
    raw = _inflate(tag, packed, length)
    if len(raw) != length:
        raise ValueInvalid(field="", reason="is not as long as it claims")
    return raw


def _inflate(tag: bytes, packed: bytes, length: int) -> bytes:
    try:
        if tag == b"z" and zstandard:
            # A stream, because decompress() trusts the frame's own claim of its size.
            return zstandard.ZstdDecompressor().stream_reader(packed).read(length + 1)
        if tag == b"d":
            stream = zlib.decompressobj()
            raw = stream.decompress(packed, length + 1)
            # Without its end, the checksum was not looked at.
            return raw if stream.eof else b""
    except _DAMAGED:
        raise ValueInvalid(field="", reason="is damaged") from None
    raise ValueInvalid(field="", reason=f"was written with an unknown codec {tag!r}")
