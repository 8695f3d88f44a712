"""Grants the lease of a job, or says why not; the rules of ``lua/start.lua``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.store import Start

if TYPE_CHECKING:
    from askonce.adapters.memory.record import MemoryRecord
    from askonce.adapters.memory.records import Records
    from askonce.job import Job
    from askonce.store import Lease


def start(records: Records, record: MemoryRecord, job: Job, lease: Lease, *, returns: bool) -> Start:
    """Grant *lease* if *job* is the one of *record*, which has its payload; say whether."""
    now = records.now()
    if record.job != job.id:
        return copied(records, record, Start.DONE if record.fresh(now) else Start.SUPERSEDED)
    if record.flight == "running":
        if record.owner == lease.owner:
            return Start.GRANTED
        if now < record.deadline:
            return copied(records, record, Start.BUSY)
        return _grant(records, record, lease, returns=returns)
    if record.flight == "queued":
        return _start_queued(records, record, lease, returns=returns)
    failed = record.failed_at(now)
    if failed and (failed.kind, failed.reason) == ("quarantined", "undeliverable"):
        record.forget_failure()
        return _grant(records, record, lease, returns=returns)
    if record.failure_answers(now):
        return copied(records, record, Start.NEGATIVE)
    return copied(records, record, Start.DONE if record.value_at(now) else Start.SUPERSEDED)


def copied(records: Records, record: MemoryRecord, outcome: Start) -> Start:
    """Count one more message of a job that needs none."""
    records.tally.count_run(record.task, "copy")
    return outcome


def _start_queued(records: Records, record: MemoryRecord, lease: Lease, *, returns: bool) -> Start:
    now = records.now()
    if record.is_expired(now):
        records.end_unrun(lease.key, record, "expired")
        return Start.UNRUN
    if now < record.not_before:
        return Start.BACKOFF if record.paused is None else Start.PAUSED
    return _grant(records, record, lease, returns=returns)


def _grant(records: Records, record: MemoryRecord, lease: Lease, *, returns: bool) -> Start:
    records.doubt(record)
    if record.attempts >= record.max_attempts:
        records.quarantine(lease.key, record, "attempts_spent")
        return Start.UNRUN
    if record.flight == "running":
        record.note("worker_lost")
    if record.is_cancelled(records.now()):
        records.end_unrun(lease.key, record, "cancelled")
        return Start.UNRUN
    if record.paused is not None:
        returned = records.hold_back(lease.key, record, returns=returns)
        return Start.RETURNED if returned else Start.PAUSED
    records.count_started(record)
    if record.fence <= max(record.mark, record.aged):
        # A call that began before a mark still gives the answer of then.
        record.checkpoint = ""
    record.grant(lease.owner, records.next_fence(), records.now(), lease.seconds)
    records.commit(lease.key, record)
    return Start.GRANTED


def require_lease(lease: Lease) -> None:
    """Refuse a lease of no time.

    Raises:
        ValueError: that it is one.
    """
    if lease.seconds <= 0:
        raise ValueError("a lease must be longer than 0 seconds")
