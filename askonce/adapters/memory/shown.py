"""Shows records in memory as every store shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce import bill
from askonce.answer import Kept, Meta, StoredValue
from askonce.job import Fingerprint, Owner
from askonce.letters import DeadJob
from askonce.record import QUARANTINE_KEPT, Failure, Parked, Snapshot, ended_at

if TYPE_CHECKING:
    from askonce.adapters.memory.record import MemoryFailure, MemoryParked, MemoryRecord, MemoryValue
    from askonce.job import JobId, Key
    from askonce.spend import Spend


def snapshot(record: MemoryRecord | None, now: float) -> Snapshot:
    """Show *record* as every store's ``read`` shows it."""
    if record is None:
        return Snapshot()
    value, failed = record.value_at(now), record.failed_at(now)
    shown = Snapshot(
        present=True,
        now=int(now * 1000),
        task=record.task,
        fingerprint=record.fingerprint,
        flight=record.flight,
        job=record.job,
        owner=record.owner,
        fence=record.fence,
        deadline_in=round(record.deadline - now, 3),
        attempts=record.attempts,
        resent=record.resent,
        wait=round(max(0.0, record.not_before - now), 3),
        checkpoint=record.checkpoint,
        value=_stored(value, now) if value else None,
        failure=_failure(failed, now, _spent(record, failed.job)) if failed else None,
        parked=_parked(record.parked, now) if record.parked else None,
        paused=record.paused,
        late=_late(record, now),
        routing=record.routing if record.admitted_at else None,
        run=record.run,
        tenant=record.tenant,
        model=record.model,
        version=record.version,
        admitted_at=int(record.admitted_at * 1000),
        tags=record.tags,
        removed_at=record.removed_at,
    )
    due_at = round(record.not_before * 1000)
    kept_until = 0 if record.value else round(record.kept_until * 1000)
    ended = ended_at(shown, due_at=due_at, kept_until=kept_until)
    return shown._replace(due_at=due_at / 1000, ended_at=ended)


def _spent(record: MemoryRecord, job: JobId) -> Spend:
    """Return what the attempts that have ended cost: all but the one under way."""
    return bill.decode(record.spent, job, record.attempts - (record.flight == "running"))


def _parked(parked: MemoryParked, now: float) -> Parked:
    return Parked(parked.reason, round(now - parked.since, 3), parked.times)


def _late(record: MemoryRecord, now: float) -> StoredValue | None:
    value = record.value
    if value is None or record.flight != "idle" or now < value.kept_until or value.fence <= record.mark:
        return None
    return _stored(value, now)


def dead_job(key: Key, record: MemoryRecord | None, now: float, *, payload: bool) -> DeadJob | None:
    """Show *record* if it is quarantined."""
    failed = record.failed_at(now) if record else None
    if record is None or failed is None or failed.kind != "quarantined" or record.flight != "idle":
        return None
    job = record.as_job(key).under(failed.job)
    return DeadJob(
        job=job if payload else job._replace(payload=b""),
        reason=failed.reason,
        attempts=record.attempts,
        history=record.history,
        spend=_spent(record, failed.job),
        since=float(failed.until - QUARANTINE_KEPT),
        until=float(failed.until),
    )


def disclosed(
    record: MemoryRecord, now: float, *, to_sender: bool = False, granted: bool = False
) -> Snapshot:
    """Show *record* as a verb that writes shows it: without what only ``read`` returns, or a sender needs.

    A start that is *granted* shows what earlier attempts cost.
    """
    shown = snapshot(record, now)._replace(task="", fingerprint=Fingerprint(""), owner=Owner(""), late=None)
    shown = shown._replace(due_at=0.0, ended_at=0.0, removed_at=0)
    if granted:
        shown = shown._replace(spent=_spent(record, record.job))
    return (
        shown
        if to_sender
        else shown._replace(routing=None, run="", tenant="", model="", version="", admitted_at=0, tags=())
    )


def _stored(value: MemoryValue, now: float) -> StoredValue:
    return StoredValue(
        data=value.answer.data,
        meta=Meta.decode(value.answer.meta),
        fence=value.fence,
        stored_at=value.stored_at,
        age=round(now - value.stored_at, 3),
        fresh_for=max(0.0, round(value.fresh_until - now, 3)),
        stale_for=value.stale_for(now),
    )


def to_kept(record: MemoryRecord, value: MemoryValue, now: float) -> Kept:
    """Show a fresh *value* as every store's ``hit`` shows it."""
    age, fresh_for = round(now - value.stored_at, 3), round(value.fresh_until - now, 3)
    data, meta = value.answer.data, value.answer.meta
    cost = value.answer.micro_usd
    return Kept(record.job, data, meta, value.fence, value.stored_at, age, fresh_for, cost)


def _failure(failed: MemoryFailure, now: float, spent: Spend) -> Failure:
    fallback = failed.fallback and StoredValue(
        data=failed.fallback.data,
        meta=Meta.decode(failed.fallback.meta),
        fence=0,
        stored_at=now,
        age=0.0,
    )
    return Failure(
        kind=failed.kind,
        reason=failed.reason,
        job=failed.job,
        remaining=round(failed.until - now, 3),
        fallback=fallback,
        spend=spent,
    )
