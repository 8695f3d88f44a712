"""Reads the flat reply that every record script returns: see ``reply`` in ``lua/record.lua``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from askonce.record import Failure, Meta, Snapshot, StoredValue

if TYPE_CHECKING:
    from askonce.record import FailureOrFallback, Flight

_ABSENT = Snapshot()


def to_snapshot(reply: list[bytes]) -> Snapshot:
    """Build the record as the script left it; absent where the script disclosed nothing."""
    if len(reply) == 1:
        return _ABSENT
    now = int(reply[1])
    return Snapshot(
        present=True,
        task=reply[2].decode(),
        fingerprint=reply[3].decode(),
        flight=cast("Flight", reply[4].decode()),
        job=reply[5].decode(),
        owner=reply[6].decode(),
        fence=int(reply[7]),
        deadline_in=int(reply[8]) / 1000,
        attempts=int(reply[9]),
        resent=int(reply[10]),
        wait=max(0, int(reply[11])) / 1000,
        checkpoint=reply[12].decode(),
        value=_value(reply[13:18], now) if reply[13] else None,
        failure=_failure(reply[18:24], now) if reply[18] else None,
    )


def _value(part: list[bytes], now: int) -> StoredValue:
    data, meta, fence, stored_at, fresh = part
    at = int(stored_at)
    return StoredValue(
        data=data,
        meta=Meta.decode(meta),
        fence=int(fence),
        stored_at=at / 1000,
        age=(now - at) / 1000,
        fresh=fresh == b"1",
    )


def _failure(part: list[bytes], now: int) -> Failure:
    kind, reason, job, remaining, data, meta = part
    fallback = _value([data, meta, b"0", b"%d" % now, b"0"], now) if data else None
    return Failure(
        kind=cast("FailureOrFallback", kind.decode()),
        reason=reason.decode(),
        job=job.decode(),
        remaining=int(remaining) / 1000,
        fallback=fallback,
    )
