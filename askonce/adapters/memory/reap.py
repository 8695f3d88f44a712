"""Looks for lost jobs in memory, as ``reap.lua`` does on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.lost import Lost
from askonce.record import MAX_RESENDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.adapters.memory.record import MemoryRecord
    from askonce.adapters.memory.records import Records
    from askonce.job import Key
    from askonce.lost import Budget


def reap(records: Records, bucket: int, budget: Budget) -> Iterator[Lost]:
    """Hand out the lost jobs of *bucket*, at most *budget*."""
    now, (jobs, size), count = records.now(), budget, 0
    for key, record in records.due(bucket):
        if not _is_due(records, key, record):
            continue
        if count >= jobs or (count and len(record.payload) > size):
            return
        size -= len(record.payload)
        if record.flight == "running":
            records.doubt(record)
            record.requeue(now)
        if record.is_cancelled(now):
            records.end_unrun(key, record, "cancelled")
            continue
        if record.is_expired(now):
            records.end_unrun(key, record, "expired")
            continue
        count += 1
        record.hand_out(now)
        records.commit(key, record)
        yield Lost(record.as_job(key), record.resent, int(now * 1000), record.parked is not None)


def _is_due(records: Records, key: Key, record: MemoryRecord) -> bool:
    """Return whether the job is to be handed out; end it where it is over."""
    now = records.now()
    if record.is_expired(now):
        records.end_unrun(key, record, "expired")
    elif now < record.due_at:
        record.looked_again = None
    elif record.flight == "queued" and record.paused is not None:
        record.await_the_pause(now)
        records.commit(key, record)
        record.look_after_the_pause(now)
    elif not records.is_lost(record):
        record.look_later(now)
    elif record.flight == "running" and record.attempts >= record.max_attempts:
        records.doubt(record)
        records.quarantine(key, record, "attempts_spent")
    elif record.resent >= MAX_RESENDS:
        records.quarantine(key, record, "undeliverable")
    else:
        return True
    return False
