"""Reads the flat reply that every record script returns: see ``reply`` in ``lua/record.lua``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from askonce.record import Failure, Meta, Snapshot, StoredValue

if TYPE_CHECKING:
    from askonce.record import FailureOrFallback, Flight

_ABSENT = Snapshot()
#: Items of a reply without an answer, and of one without a failure.
_BARE, _WITH_VALUE = 13, 18


def to_snapshot(reply: list[Any]) -> Snapshot:
    """Build the record as the script left it; absent where the script disclosed nothing."""
    if len(reply) == 1:
        return _ABSENT
    now = reply[1]
    return Snapshot(
        present=True,
        task=reply[2].decode(),
        fingerprint=reply[3].decode(),
        flight=cast("Flight", reply[4].decode()),
        job=reply[5].decode(),
        owner=reply[6].decode(),
        fence=reply[7],
        deadline_in=reply[8] / 1000,
        attempts=reply[9],
        resent=reply[10],
        wait=max(0, reply[11]) / 1000,
        checkpoint=reply[12].decode(),
        value=_value(reply[13:18], now) if len(reply) > _BARE and reply[13] else None,
        failure=_failure(reply[18:24], now) if len(reply) > _WITH_VALUE else None,
    )


def _value(part: list[Any], now: int) -> StoredValue:
    data, meta, fence, stored_at, fresh = part
    return StoredValue(
        data=data,
        meta=Meta.decode(meta),
        fence=fence,
        stored_at=stored_at / 1000,
        age=(now - stored_at) / 1000,
        fresh=fresh == b"1",
    )


def _failure(part: list[Any], now: int) -> Failure:
    kind, reason, job, remaining, data, meta = part
    fallback = _value([data, meta, 0, now, b"0"], now) if data else None
    return Failure(
        kind=cast("FailureOrFallback", kind.decode()),
        reason=reason.decode(),
        job=job.decode(),
        remaining=remaining / 1000,
        fallback=fallback,
    )
