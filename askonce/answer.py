"""What a call returned and what it cost: for the task body, in the record, and for a caller."""

from __future__ import annotations

import zlib
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, cast

import orjson

from askonce.canonical import to_json
from askonce.errors import AnswerUnreadable, PayloadInvalid, ValueInvalid
from askonce.spend import Spend, of_fields, to_fields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from askonce.job import JobId, Key

try:
    import zstandard
except ImportError:  # the optional extra "zstd"
    zstandard = None  # type: ignore[assignment]  # read below as "not installed"

_DAMAGED = (zlib.error, zstandard.ZstdError) if zstandard else (zlib.error,)

Source = Literal["call", "cache", "stale", "default"]

#: No answer may be larger than this when decoded, whatever its compressed size is.
MAX_DECODED_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What a task body may return instead of a bare value.

    A *source* other than ``call`` marks a fallback: this job's waiters get it, and it is never kept as a
    fresh value.
    """

    value: object
    _: KW_ONLY
    source: Source = "call"
    #: Why there is no better answer, where *source* is another one: a short stable word (``rate_limited``),
    #: never text from the payload or the provider.
    reason: str = ""
    #: What this run's calls cost, in US dollars; None is unknown, never 0. What earlier attempts of the job
    #: cost is added.
    cost_usd: float | Decimal | None = None
    #: The provider's counts, such as ``input_tokens``.
    usage: Mapping[str, int] = field(default_factory=dict)
    #: How many calls that were.
    calls: int = 1
    #: What this run's own calls cost, where the three above are what the answer cost as a whole: parts of it
    #: may have come from other records, or from earlier attempts. Nothing is added then.
    paid: Spend | None = None
    #: For how many seconds the answer is fresh, where the answer itself says so; None is the task's own
    #: ``soft_ttl``. It is kept for the task's ``hard_ttl``, and at least for so long.
    ttl: float | None = None
    #: Whether the record keeps the answer; those who wait for this job get it in any case.
    keep: bool = True
    #: With *paid*: what of the whole this job caused to be paid, without parts that other jobs paid; None is
    #: all of it.
    caused: Spend | None = None


class Encoded(NamedTuple):
    """An answer as bytes: its value, and its Meta."""

    data: bytes
    meta: bytes
    #: What the answer cost to make; None is unknown.
    micro_usd: int | None = None


#: Seconds: an answer that is stored too late to be fresh is stale at once.
SHORTEST_TTL = 0.001


class Ttl(NamedTuple):
    """How long an answer is fresh, and how long it is kept; seconds from now."""

    fresh: float
    kept: float

    def after(self, seconds: float) -> Self:
        """Return what is left when the answer is stored *seconds* after it was made."""
        return self._replace(
            fresh=max(SHORTEST_TTL, self.fresh - seconds), kept=max(SHORTEST_TTL, self.kept - seconds)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What is kept beside an answer."""

    source: Source = "call"
    attempts: int = 1
    spend: Spend = field(default_factory=Spend)
    reason: str = ""

    def encode(self) -> bytes:
        """Return the form that the record keeps.

        Raises:
            PayloadInvalid: a cost or a count has no JSON form; ``spend.check`` leaves none of them.
        """
        reason = {"reason": self.reason} if self.reason else {}
        fields = {"source": self.source, "attempts": self.attempts, **reason, **to_fields(self.spend)}
        # A copy: what orjson returns keeps 4 KB, and an answer may have to wait for its store.
        return memoryview(to_json(fields)).tobytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what ``encode`` wrote, or what a newer version wrote: unknown fields are ignored.

        Damaged bytes are read as no bytes, and a field of another type as no field: what it cost is then
        unknown.
        """
        try:
            known = orjson.loads(data) if data else {}
        except orjson.JSONDecodeError:
            known = {}
        known = known if isinstance(known, dict) else {}
        source, attempts, reason = (known.get(name) for name in ("source", "attempts", "reason"))
        return cls(
            source=cast("Source", source) if isinstance(source, str) else "call",
            attempts=attempts if isinstance(attempts, int) else 1,
            spend=of_fields(known),
            reason=reason if isinstance(reason, str) else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValue:
    """An answer as the record keeps it."""

    data: bytes
    meta: Meta
    fence: int
    #: UTC, seconds since 1970, by the store's clock.
    stored_at: float
    age: float
    #: Seconds until it is stale, and since then; 0 where that does not apply.
    fresh_for: float = 0.0
    stale_for: float = 0.0

    @property
    def fresh(self) -> bool:
        """Whether it may be served without a call."""
        return self.fresh_for > 0


class Kept(NamedTuple):
    """An answer as a store returns it for a hit: nothing of it is decoded. Times in seconds."""

    job: JobId
    #: As a Codec wrote it.
    data: bytes
    #: As ``Meta.encode`` wrote it.
    meta: bytes
    fence: int
    #: UTC, since 1970, by the store's clock.
    stored_at: float
    age: float
    #: How long it stays fresh; below 0 it is stale for so long.
    fresh_for: float
    #: What it cost to make; None is unknown.
    micro_usd: int | None = None

    def stored(self) -> StoredValue:
        """Return the same with its meta decoded."""
        return StoredValue(
            data=self.data,
            meta=Meta.decode(self.meta),
            fence=self.fence,
            stored_at=self.stored_at,
            age=self.age,
            fresh_for=max(0.0, self.fresh_for),
            stale_for=max(0.0, -self.fresh_for),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An answer as a caller gets it. Times in seconds."""

    key: Key
    job: JobId
    value: object
    #: ``call``: made for this job; ``cache``: kept from before; ``stale``: too old, but the call
    #: failed; ``default``: the body's own substitute.
    source: Source
    age: float
    attempts: int
    #: Rises with every run of a key: a downstream store refuses a lower one.
    fence: int
    #: What the answer cost to make.
    spend: Spend
    #: UTC, since 1970, by the store's clock.
    stored_at: float
    #: Made or kept without the store: another process may have made an equal call meanwhile.
    degraded: bool = False
    #: Why there is no better answer, in one word, where *source* is ``stale`` or ``default`` and it is known.
    reason: str = ""
    #: Until it is stale, and since then; 0 where that does not apply.
    fresh_for: float = 0.0
    stale_for: float = 0.0

    @property
    def cost_usd(self) -> float | None:
        """US dollars; None is unknown, never 0."""
        return self.spend.cost_usd

    @property
    def usage(self) -> Mapping[str, int]:
        """The provider's counts."""
        return self.spend.usage

    def to_dict(self) -> dict[str, object]:
        """Return the fields by name, for JSON."""
        return {
            "key": self.key,
            "job": self.job,
            "value": self.value,
            "source": self.source,
            "age": self.age,
            "attempts": self.attempts,
            "fence": self.fence,
            "cost_usd": self.cost_usd,
            "usage": dict(self.usage),
            "stored_at": self.stored_at,
            "fresh_for": self.fresh_for,
            "stale_for": self.stale_for,
            "degraded": self.degraded,
        }


def to_result(key: Key, job: JobId, stored: StoredValue, source: Source | None = None) -> Result:
    """Decode *stored* for a caller; *source* overrides what was recorded.

    Raises:
        AnswerUnreadable: it was written with a codec that is not installed here, or it is damaged.
    """
    return Result(
        key=key,
        job=job,
        value=decode(stored.data),
        source=source or stored.meta.source,
        age=stored.age,
        attempts=stored.meta.attempts,
        fence=stored.fence,
        spend=stored.meta.spend,
        stored_at=stored.stored_at,
        reason=stored.meta.reason,
        fresh_for=stored.fresh_for,
        stale_for=stored.stale_for,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """Values as bytes: one tag byte, then JSON, or its raw length and compressed JSON."""

    #: Bytes of JSON from which compression is tried; kept when it saves more than a tenth.
    compress_from: int = 1024
    #: ``zstd`` is faster and smaller. Every process that reads answers then needs the extra ``zstd``.
    compression: Literal["zlib", "zstd"] = "zlib"

    def __post_init__(self) -> None:
        """Refuse a compression that is not installed here."""
        if self.compression == "zstd" and zstandard is None:
            raise ValueError("Codec: compression='zstd' needs the extra: pip install 'askonce[zstd]'")

    def encode(self, value: object, limit: int) -> bytes:
        """Encode *value* for the store.

        Raises:
            ValueInvalid: it has no JSON form, or is larger than *limit* bytes as stored.
        """
        try:
            raw = to_json(value)
        except PayloadInvalid as exc:
            raise ValueInvalid(field=exc.field, reason=exc.reason, value_type=exc.value_type) from None
        data = self._smallest(raw)
        if len(data) > limit or len(raw) > MAX_DECODED_BYTES:
            raise ValueInvalid(
                field="", reason=f"{len(data)} bytes stored, {len(raw)} raw; the limit is {limit}"
            )
        return data

    def _smallest(self, raw: bytes) -> bytes:
        if len(raw) < self.compress_from:
            return b"j" + raw
        packed = zlib.compress(raw, 1) if self.compression == "zlib" else zstandard.compress(raw, 1)
        if len(packed) >= 0.9 * len(raw):
            return b"j" + raw
        return (b"d" if self.compression == "zlib" else b"z") + len(raw).to_bytes(4, "big") + packed


def decode(data: bytes) -> object:
    """Decode what a Codec wrote; never allocates more than MAX_DECODED_BYTES.

    Raises:
        AnswerUnreadable: the tag is unknown here, the length is wrong, or the text is no JSON.
    """
    tag, body = data[:1], data[1:]
    try:
        return cast("object", orjson.loads(body if tag == b"j" else _unpack(tag, body)))
    except orjson.JSONDecodeError:
        raise AnswerUnreadable(reason="is not JSON") from None


def _unpack(tag: bytes, body: bytes) -> bytes:
    _require_codec(tag)
    length, packed = int.from_bytes(body[:4], "big"), body[4:]
    if length > MAX_DECODED_BYTES:
        raise AnswerUnreadable(reason=f"claims {length} bytes, more than {MAX_DECODED_BYTES}")
    raw = _inflate(tag, packed, length)
    if len(raw) != length:
        raise AnswerUnreadable(reason="is not as long as it claims")
    return raw


def _require_codec(tag: bytes) -> None:
    """Raise unless this process can read what follows *tag*: another codec may have another layout."""
    if not tag:
        raise AnswerUnreadable(reason="is empty")
    if tag == b"d" or (tag == b"z" and zstandard):
        return
    missing = repr(tag)[2:-1]
    raise AnswerUnreadable(reason="was written with a codec that is not installed here", codec=missing)


def _inflate(tag: bytes, packed: bytes, length: int) -> bytes:
    try:
        if tag == b"z":
            # A stream, because decompress() trusts the size that the frame claims.
            return zstandard.ZstdDecompressor().stream_reader(packed).read(length + 1)
        stream = zlib.decompressobj()
        raw = stream.decompress(packed, length + 1)
    except _DAMAGED:
        raise AnswerUnreadable(reason="is damaged") from None
    # Without its end, the checksum was not compared.
    return raw if stream.eof else b""
