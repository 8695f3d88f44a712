"""Decides what a claim gets; the rules of ``lua/admit.lua``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.adapters.memory.attach import attach
from askonce.freshness import lets_stale_through
from askonce.record import MAX_RESENDS
from askonce.store import Admission

if TYPE_CHECKING:
    from askonce.adapters.memory.record import MemoryRecord, MemoryValue
    from askonce.adapters.memory.records import Records
    from askonce.claim import Claim
    from askonce.job import Job


def admit(records: Records, record: MemoryRecord, claim: Claim) -> tuple[Admission, tuple[str, ...]]:
    """Admit *claim*, or say what its caller gets, and which of its options were not taken."""
    now, (job, terms) = records.now(), claim
    value = record.value if record.fresh(now) and not terms.force else None
    if value and (terms.max_age is None or now - value.stored_at <= terms.max_age):
        return serve(records, value, job, Admission.HIT), ()
    meanwhile = _good_meanwhile(record, now, terms.max_age, terms.stale_while_revalidate)
    if record.flight != "idle":
        if meanwhile and (record.paused is not None or not records.is_lost(record)):
            return serve(records, meanwhile, job, Admission.STALE), ()
        return _attach_or_resend(records, record, claim)
    if not terms.force and not terms.retry:
        fails, rests = record.failure_answers(now), now < record.not_before
        if meanwhile and (fails or rests):
            return serve(records, meanwhile, job, Admission.STALE), ()
        if fails or rests:
            return (Admission.NEGATIVE if fails else Admission.BACKOFF), ()
    record.enter(claim, now)
    records.commit(job.key, record)
    return Admission.ADMITTED, ()


def serve(records: Records, value: MemoryValue, job: Job, outcome: Admission) -> Admission:
    """Count that *value* is served: what it cost was avoided, and somebody wants it."""
    value.asked, cost = True, value.answer.micro_usd
    what = "avoided_unknown" if cost is None else "avoided_micro_usd"
    records.tally.count((job.task, job.tenant, job.model), what, 1 if cost is None else cost)
    return outcome


def answered(records: Records, job: Job, meanwhile: float) -> MemoryRecord | None:
    """Return the record of *job* while its answer is fresh, or made anew for who takes a stale one."""
    record = records.load(job.key)
    if record is None or record.fingerprint != job.fingerprint:
        return None
    records.controls.apply(record, job)
    now = records.now()
    if record.fresh(now):
        return record
    is_made_anew = record.flight != "idle" and now < record.deadline and record.failed_at(now) is None
    return record if is_made_anew and _good_meanwhile(record, now, None, meanwhile) else None


def _good_meanwhile(
    record: MemoryRecord, now: float, max_age: float | None, meanwhile: float
) -> MemoryValue | None:
    """Return the answer for one to whom it is good enough while it is made anew, or its key rests."""
    value, failed = record.value_at(now), record.failed_at(now)
    if value is None or not lets_stale_through(failed.kind if failed else None):
        return None
    return value if value.stale_for(now, max_age) < meanwhile else None


def _attach_or_resend(
    records: Records, record: MemoryRecord, claim: Claim
) -> tuple[Admission, tuple[str, ...]]:
    now, job = records.now(), claim.job
    lost = record.paused is None and records.is_lost(record)
    if lost and record.flight == "running" and not records.requeue(job.key, record):
        return Admission.NEGATIVE, ()
    if lost and record.resent >= MAX_RESENDS:
        records.quarantine(job.key, record, "undeliverable")
        return Admission.NEGATIVE, ()
    ignored, resend = ((), False) if claim.terms.reject else attach(record, claim, now)
    if resend or lost:
        record.resender = job.id
        record.hand_out(now)
    records.commit(job.key, record)
    return (Admission.RESEND if resend or lost else Admission.ATTACHED), ignored
