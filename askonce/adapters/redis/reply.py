"""Reads the flat reply that every record script returns: see ``reply`` in ``lua/record.lua``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from askonce.record import Failure, Meta, Snapshot, StoredValue
from askonce.store import Lost

if TYPE_CHECKING:
    from askonce.record import FailureOrFallback, Flight

_ABSENT = Snapshot()
#: Items of a reply without an answer, and of one without a failure.
_BARE, _WITH_VALUE = 10, 15


def to_snapshot(reply: list[Any]) -> Snapshot:
    """Build the record as the script left it; absent where the script disclosed nothing."""
    if len(reply) == 1:
        return _ABSENT
    now, flight, job, fence, deadline_in, attempts, resent, wait, checkpoint = reply[1:10]
    # By position: names would cost as much as all the rest.
    return Snapshot(
        True,  # noqa: FBT003  # as above
        "",
        "",
        cast("Flight", flight.decode()),
        job.decode(),
        "",
        fence,
        deadline_in / 1000,
        attempts,
        resent,
        wait / 1000 if wait > 0 else 0.0,
        checkpoint.decode(),
        _value(reply[10:15], now) if len(reply) > _BARE and reply[10] else None,
        _failure(reply[15:21], now) if len(reply) > _WITH_VALUE else None,
    )


def to_full_snapshot(reply: list[Any]) -> Snapshot:
    """Build the record as ``read`` tells it, with the words that the other verbs keep to themselves."""
    told, task, fingerprint, owner = reply
    seen = to_snapshot(told)
    if not seen.present:
        return seen
    return seen._replace(task=task.decode(), fingerprint=fingerprint.decode(), owner=owner.decode())


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


def to_lost(reply: list[Any]) -> list[Lost]:
    """Read what ``reap`` collected."""
    return [
        Lost(
            key=reply[i].decode(),
            job=reply[i + 1].decode(),
            fingerprint=reply[i + 2].decode(),
            task=reply[i + 3].decode(),
            payload=reply[i + 4],
            resent=reply[i + 5],
            edition=reply[i + 6].decode(),
        )
        for i in range(0, len(reply), 7)
    ]
