"""One record in memory: the fields of ``lua/record.lua`` under their full names, times in seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from askonce.answer import Meta, StoredValue
from askonce.job import Fingerprint, Job, JobId, Key, Owner
from askonce.letters import DeadJob
from askonce.record import (
    FLIGHT_KEPT,
    HISTORY_KEPT,
    MAX_DOUBLINGS,
    QUARANTINE_KEPT,
    REASON_KEPT,
    Failure,
    FailureOrFallback,
    Flight,
    Snapshot,
)

if TYPE_CHECKING:
    from askonce.answer import Encoded
    from askonce.store import Claim


@dataclass(slots=True)
class MemoryFailure:
    """Why the last run gave no answer, and for how long that answers."""

    kind: FailureOrFallback
    reason: str
    job: JobId
    owner: Owner
    until: float
    fallback: Encoded | None = None


@dataclass(slots=True)
class MemoryValue:
    """An answer and its two ages."""

    answer: Encoded
    fence: int
    stored_at: float
    fresh_until: float
    kept_until: float


@dataclass(slots=True)
class MemoryRecord:
    """Both halves of a record, value and flight."""

    task: str = ""
    version: str = ""
    tenant: str = ""
    fingerprint: Fingerprint = Fingerprint("")
    flight: Flight = "idle"
    job: JobId = JobId("")
    owner: Owner = Owner("")
    fence: int = 0
    deadline: float = 0.0
    attempts: int = 0
    resent: int = 0
    #: The job id of the caller that sent the message again.
    resender: JobId = JobId("")
    not_before: float = 0.0
    max_attempts: int = 0
    queue_deadline: float = 0.0
    payload: bytes = b""
    history: tuple[str, ...] = ()
    checkpoint: str = ""
    value: MemoryValue | None = None
    failed: MemoryFailure | None = None
    kept_until: float = 0.0

    def value_at(self, now: float) -> MemoryValue | None:
        """Return the answer, fresh or stale, unless it is past its hard limit."""
        return self.value if self.value and now < self.value.kept_until else None

    def fresh(self, now: float) -> bool:
        """Return whether the answer may be served without a call."""
        value = self.value_at(now)
        return value is not None and now < value.fresh_until

    def failed_at(self, now: float) -> MemoryFailure | None:
        """Return the last failure while it is remembered."""
        return self.failed if self.failed and now < self.failed.until else None

    def failure_answers(self, now: float) -> bool:
        """Return whether the failure answers in place of a call."""
        failed = self.failed_at(now)
        return failed is not None and failed.kind in ("permanent", "quarantined")

    def keep(self) -> None:
        """Set how long the whole record is kept."""
        kept = max(
            self.value.kept_until if self.value else 0.0,
            self.failed.until if self.failed else 0.0,
            self.not_before,
        )
        self.kept_until = kept if self.flight == "idle" else max(kept, self.deadline + FLIGHT_KEPT)

    def enter(self, claim: Claim, now: float) -> None:
        """Begin the flight of *claim*; the last answer and the fence stay."""
        job, terms = claim
        self.flight = "queued"
        self.forget_failure()
        self.task, self.version, self.tenant = job.task, job.version, job.tenant
        self.fingerprint, self.job, self.payload = job.fingerprint, job.id, job.payload
        self.owner, self.attempts, self.resent, self.resender = Owner(""), 0, 0, JobId("")
        self.not_before, self.checkpoint = 0.0, ""
        self.deadline, self.queue_deadline = now + terms.queue_deadline, terms.queue_deadline
        self.max_attempts = terms.max_attempts

    def as_job(self, key: Key) -> Job:
        """Return the job in flight."""
        return Job(
            key=key,
            id=self.job,
            fingerprint=self.fingerprint,
            task=self.task,
            payload=self.payload,
            version=self.version,
            tenant=self.tenant,
        )

    def quarantine(self, reason: str, now: float) -> None:
        """End the flight; the payload stays for a replay."""
        self.fail("quarantined", reason, now + QUARANTINE_KEPT)
        self.flight, self.not_before = "idle", 0.0

    def fail(self, kind: FailureOrFallback, reason: str, until: float) -> MemoryFailure:
        """Remember why this run gave no answer."""
        self.note(reason)
        self.failed = MemoryFailure(kind, reason, self.job, self.owner, until)
        return self.failed

    def note(self, reason: str) -> None:
        """Add to the history of this job."""
        word = re.sub(r"\s", "_", reason[:REASON_KEPT])
        self.history = (*self.history, word)[-HISTORY_KEPT:]

    def forget_failure(self) -> None:
        """Begin anew."""
        self.failed, self.history = None, ()

    def grant(self, owner: Owner, clock: float, now: float, lease: float) -> None:
        """Begin a run of *owner*."""
        if self.flight == "running":
            self.note("worker_lost")
        self.flight, self.owner = "running", owner
        self.fence = max(self.fence + 1, int(clock * 1_000_000))
        self.deadline, self.attempts = now + lease, self.attempts + 1
        self.resent, self.resender, self.not_before = 0, JobId(""), 0.0

    def requeue(self, now: float) -> None:
        """Wait for the message that is sent again."""
        if self.flight == "running":
            self.note("worker_lost")
        self.flight, self.not_before, self.resent = "queued", 0.0, self.resent + 1
        self.deadline = now + self.queue_deadline * 2 ** min(self.resent, MAX_DOUBLINGS)


def snapshot(record: MemoryRecord | None, now: float) -> Snapshot:
    """Show *record* as every store's ``read`` shows it."""
    if record is None:
        return Snapshot()
    value, failed = record.value_at(now), record.failed_at(now)
    return Snapshot(
        present=True,
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
        failure=_failure(failed, now) if failed else None,
    )


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
        since=float(failed.until - QUARANTINE_KEPT),
        until=float(failed.until),
    )


def disclosed(record: MemoryRecord, now: float) -> Snapshot:
    """Show *record* as a verb that writes shows it: without what only ``read`` returns."""
    return snapshot(record, now)._replace(task="", fingerprint=Fingerprint(""), owner=Owner(""))


def _stored(value: MemoryValue, now: float) -> StoredValue:
    return StoredValue(
        data=value.answer.data,
        meta=Meta.decode(value.answer.meta),
        fence=value.fence,
        stored_at=value.stored_at,
        age=round(now - value.stored_at, 3),
        fresh=now < value.fresh_until,
    )


def _failure(failed: MemoryFailure, now: float) -> Failure:
    fallback = failed.fallback and StoredValue(
        data=failed.fallback.data,
        meta=Meta.decode(failed.fallback.meta),
        fence=0,
        stored_at=now,
        age=0.0,
        fresh=False,
    )
    return Failure(
        kind=failed.kind,
        reason=failed.reason,
        job=failed.job,
        remaining=round(failed.until - now, 3),
        fallback=fallback,
    )
