"""Keeps an answer that no run gives; the rules of ``lua/put.lua``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.adapters.memory.record import MemoryRecord, MemoryValue
from askonce.record import TOMBSTONE_KEPT

if TYPE_CHECKING:
    from askonce.adapters.memory.records import Records
    from askonce.answer import Encoded, Ttl
    from askonce.job import Job


def put(records: Records, record: MemoryRecord, job: Job, answer: Encoded, ttl: Ttl) -> bool:
    """Keep *answer* in place of what *record* had; False where a pause keeps the one before."""
    if record.paused is not None:
        return False
    records.doubt(record)
    record.forget()
    now, fence = records.now(), max(record.fence + 1, records.next_fence())
    until = now + TOMBSTONE_KEPT if record.flight == "running" else 0.0
    kept = MemoryRecord(
        task=job.task,
        version=job.version,
        tenant=job.tenant,
        model=job.model,
        routing=job.routing,
        tags=job.tags,
        admitted_at=now,
        fingerprint=job.fingerprint,
        job=job.id,
        fence=fence,
        value=MemoryValue(answer, fence, now, now + ttl.fresh, now + ttl.kept),
        forgotten=record.forgotten,
    )
    records.commit(job.key, kept, until)
    records.wake(job.key)
    return True
