"""One record in memory: the fields of ``lua/record.lua`` under their full names, times in seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from askonce.job import Fingerprint, Job, JobId, Key, Owner, Routing
from askonce.record import (
    FLIGHT_KEPT,
    HANDED_OUT,
    HISTORY_KEPT,
    LOOK_REST,
    MAX_DOUBLINGS,
    PAUSE_LOOK,
    PAUSE_REST,
    QUARANTINE_KEPT,
    REASON_KEPT,
    REASON_KEPT_FOR,
    TOMBSTONE_KEPT,
    FailureOrFallback,
    Flight,
)

if TYPE_CHECKING:
    from askonce.answer import Encoded
    from askonce.claim import Claim


@dataclass(slots=True)
class MemoryFailure:
    """Why the last run gave no answer, and for how long that answers."""

    kind: FailureOrFallback
    reason: str
    job: JobId
    #: Who failed last: only its own report may be repeated.
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
    #: Whether somebody was served it.
    asked: bool = False
    #: Whether the payload is kept beside it.
    with_payload: bool = False

    def stale_for(self, now: float, max_age: float | None = None) -> float:
        """Return for how long it has been too old, for one who takes none older than *max_age*."""
        fresh_until = self.fresh_until if max_age is None else min(self.fresh_until, self.stored_at + max_age)
        return max(0.0, round(now - fresh_until, 3))


@dataclass(slots=True)
class MemoryParked:
    """A job that was put back unpaid."""

    reason: str
    since: float
    #: 0: by a pause alone.
    times: int


@dataclass(slots=True)
class MemoryRecord:
    """Both halves of a record, value and flight."""

    task: str = ""
    version: str = ""
    tenant: str = ""
    model: str = ""
    run: str = ""
    shared: bool = False
    routing: Routing = field(default_factory=Routing)
    admitted_at: float = 0.0
    expires_at: float | None = None
    #: The last message's time; None when no message is out.
    sent_at: float | None = None
    handed_out_until: float = 0.0
    parked: MemoryParked | None = None
    #: When a reaper looks at the job, where it looked once in vain; any change of the record ends that.
    looked_again: float | None = None
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
    #: What the attempts so far cost.
    spent: bytes = b""
    value: MemoryValue | None = None
    failed: MemoryFailure | None = None
    kept_until: float = 0.0
    tags: tuple[str, ...] = ()
    #: An answer of no higher fence is as good as none; set by each verb that looks at the controls.
    mark: int = 0
    #: An answer of no higher fence is never fresh.
    aged: int = 0
    #: When an answer was removed before its time; 0 where none was since the last one.
    removed_at: int = 0
    paused: str | None = None
    queue_paused: bool = False
    #: Owners whose writes were counted, and that this record forgets.
    forgotten: list[Owner] = field(default_factory=list)

    @property
    def name(self) -> tuple[str, str, str]:
        """What its counters are named by."""
        return self.task, self.tenant, self.model

    def value_at(self, now: float) -> MemoryValue | None:
        """Return the answer, fresh or stale, unless it is past its hard limit or a mark."""
        value = self.value
        return value if value and now < value.kept_until and value.fence > self.mark else None

    def fresh(self, now: float) -> bool:
        """Return whether the answer may be served without a call."""
        value = self.value_at(now)
        return value is not None and now < value.fresh_until

    @property
    def is_void(self) -> bool:
        """Whether the run that has the lease began before a mark that removes."""
        return self.flight == "running" and self.fence <= self.mark

    def failed_at(self, now: float) -> MemoryFailure | None:
        """Return the last failure while it is remembered."""
        return self.failed if self.failed and now < self.failed.until else None

    def failure_answers(self, now: float) -> bool:
        """Return whether the failure answers in place of a call."""
        failed = self.failed_at(now)
        return failed is not None and failed.kind in ("permanent", "quarantined")

    def is_cancelled(self, now: float) -> bool:
        """Return whether the job was cancelled; one under way may still be answered."""
        failed = self.failed_at(now)
        return failed is not None and failed.kind == "cancelled"

    def cancel_running(self, now: float) -> None:
        """Let the call under way be the job's last."""
        if not self.is_cancelled(now):
            self._fail("cancelled", "cancelled", now + FLIGHT_KEPT)

    def keep(self, until: float = 0.0) -> None:
        """Set how long the whole record is kept, at least *until*."""
        kept = max(
            self.value.kept_until if self.value else 0.0,
            self.failed.until if self.failed else 0.0,
            self.not_before,
            until,
        )
        self.kept_until = kept if self.flight == "idle" else max(kept, self.deadline + FLIGHT_KEPT)

    def enter(self, claim: Claim, now: float) -> None:
        """Begin the flight of *claim*; the last answer and the fence stay."""
        job, terms = claim
        if self.value is not None and self.value.fence <= self.mark:
            # This job may bring other tags, and the marks of the answer's own are not met any more.
            self.value, self.removed_at = None, self.mark
        self._forget_completed()
        self.leave()
        self.flight = "queued"
        self.forget_failure()
        self.task, self.version, self.tenant, self.model = job.task, job.version, job.tenant, job.model
        self.run, self.shared, self.routing, self.tags = job.run, False, job.routing, job.tags
        self.fingerprint, self.job, self.payload = job.fingerprint, job.id, job.payload
        self.owner, self.attempts, self.not_before, self.checkpoint = Owner(""), 0, 0.0, ""
        self.spent = b""
        self.max_attempts, self.queue_deadline = terms.max_attempts, terms.queue_deadline
        self.admitted_at = self.sent_at = now
        self.expires_at = None if terms.expires is None else now + terms.expires
        self.deadline = now + terms.queue_deadline
        if self.expires_at is not None:
            self.deadline = min(self.deadline, self.expires_at)
        if terms.countdown > 0:
            # Its message is sent when it is due.
            self.deadline = self.not_before = now + terms.countdown
            self.sent_at = None

    def leave(self) -> None:
        """End the flight: what belongs to its messages is gone."""
        self.flight, self.resent, self.resender = "idle", 0, JobId("")
        self.sent_at, self.handed_out_until, self.parked = None, 0.0, None

    def is_expired(self, now: float) -> bool:
        """Return whether the job was queued for longer than its callers wait."""
        return self.flight == "queued" and self.expires_at is not None and now >= self.expires_at

    def is_delayed(self, now: float) -> bool:
        """Return whether only the first caller's countdown holds the job back."""
        failed = self.failed is not None and self.failed.job == self.job
        unrun = self.attempts == 0 and self.parked is None and not failed
        return self.flight == "queued" and now < self.not_before and unrun

    @property
    def wanted_at(self) -> float:
        """When the first start was wanted; a pause that put the job aside forgot a countdown."""
        return self.admitted_at if self.parked else max(self.admitted_at, self.not_before)

    @property
    def look_at(self) -> float:
        """When a reaper looks at the job."""
        if self.looked_again is not None:
            return self.looked_again
        return self._by_expiry(self.due_at)

    @property
    def due_at(self) -> float:
        """When its lease, its wait for a message or its being handed out is over."""
        return max(self.deadline, self.handed_out_until)

    def _by_expiry(self, at: float) -> float:
        return at if self.flight != "queued" or self.expires_at is None else min(at, self.expires_at)

    def look_later(self, now: float) -> None:
        """Be looked at again: the longer the job waits in its queue, the later."""
        waited = now - (self.sent_at or 0.0)
        self.look_again_at(now + min(max(self.queue_deadline, waited / 8), LOOK_REST))

    def look_after_the_pause(self, now: float) -> None:
        """Be looked at again when a pause ends; soon where the job expires."""
        left = None if self.expires_at is None else max((self.expires_at - now) / 8, PAUSE_REST)
        self.look_again_at(now + (PAUSE_LOOK if left is None else left))

    def look_again_at(self, moment: float) -> None:
        """Be looked at then, to the millisecond, or at the expiry."""
        self.looked_again = int(round(self._by_expiry(moment) * 1000, 6)) / 1000

    def hand_out(self, now: float) -> None:
        """Let one process send the message again."""
        self.handed_out_until = now + min(HANDED_OUT, self.queue_deadline)

    def parked_for(self, now: float) -> float:
        """Return for how long the job has been parked."""
        return round(now - self.parked.since, 3) if self.parked else 0.0

    def park(self, reason: str, now: float, after: float) -> None:
        """Put the job back."""
        parked = self.parked or MemoryParked(reason, now, 0)
        self._put_back(MemoryParked(reason, parked.since, parked.times + 1), now + after)

    def park_paused(self, now: float) -> None:
        """Put the job back until its pause ends."""
        self._put_back(self._put_aside(now), now + PAUSE_REST)

    def leave_queued(self, now: float) -> None:
        """Leave the job to its message, which goes back to its paused queue."""
        self.flight, self.sent_at, self.not_before = "queued", now, 0.0
        self.handed_out_until, self.resender = 0.0, JobId("")
        if self.parked:
            self.parked = self._put_aside(now)
        self._set_deadline(now)

    def _put_back(self, parked: MemoryParked, until: float) -> None:
        self.leave()
        self.flight, self.parked = "queued", parked
        self.deadline = self.not_before = until

    def _put_aside(self, now: float) -> MemoryParked:
        """Only a pause parks a job 0 times: the next start forgets that time, and what was before it."""
        return self.parked if self.parked and not self.parked.times else MemoryParked("paused", now, 0)

    def await_the_pause(self, now: float) -> None:
        """Stay queued where a pause holds the job back."""
        self.deadline = now
        if self.parked:
            self.parked = self._put_aside(now)

    def end_unrun(self, kind: FailureOrFallback, now: float) -> None:
        """End a job that no worker shall run any more."""
        self.fail(kind, kind, now + REASON_KEPT_FOR)
        self.leave()
        self.not_before, self.checkpoint = 0.0, ""
        self.forget_payload(now)
        self.keep(now + TOMBSTONE_KEPT)

    def forget_payload(self, now: float) -> None:
        """Forget the payload, unless the last good answer is kept with one."""
        value = self.value_at(now)
        if value is None or not value.with_payload:
            self.payload = b""

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
            model=self.model,
            run=self.run,
            routing=self.routing,
            admitted_at=int(self.admitted_at * 1000),
            tags=self.tags,
        )

    def quarantine(self, reason: str, now: float) -> None:
        """End the flight; the payload stays for a replay."""
        self.fail("quarantined", reason, now + QUARANTINE_KEPT)
        self.leave()
        self.not_before = 0.0

    def fail(self, kind: FailureOrFallback, reason: str, until: float) -> MemoryFailure:
        """Remember why this run gave no answer."""
        self.note(reason)
        return self._fail(kind, reason, until)

    def _fail(self, kind: FailureOrFallback, reason: str, until: float) -> MemoryFailure:
        reporter = self.failed.owner if self.failed else Owner("")
        self.failed = MemoryFailure(kind, reason, self.job, reporter, until)
        return self.failed

    def report(self) -> None:
        """End the lease of the owner that reported the failure."""
        self._forget_failed()
        if self.failed is not None:
            self.failed.owner = self.owner
        self.owner = Owner("")

    def note(self, reason: str) -> None:
        """Add to the history of this job."""
        word = re.sub(r"\s", "_", reason[:REASON_KEPT])
        self.history = (*self.history, word)[-HISTORY_KEPT:]

    def forget_failure(self) -> None:
        """Begin anew."""
        self._forget_failed()
        self.failed, self.history = None, ()

    def forget(self) -> None:
        """Forget the answer and the failure."""
        self._forget_completed()
        self.value = None
        self.forget_failure()

    def _forget_completed(self) -> None:
        """Forget the owner whose answer this is."""
        if self.value is not None and self.value.fence == self.fence and self.owner:
            self.forgotten.append(self.owner)

    def _forget_failed(self) -> None:
        """Forget the owner of the failure; one that was lost was not counted."""
        if self.failed and self.failed.owner and self.failed.owner != self.owner:
            self.forgotten.append(self.failed.owner)

    def grant(self, owner: Owner, fence: int, now: float, lease: float) -> None:
        """Begin a run of *owner*, with a *fence* of at least so much."""
        self.flight, self.owner = "running", owner
        self.fence = max(self.fence + 1, fence)
        self.deadline, self.attempts = now + lease, self.attempts + 1
        self.resent, self.resender, self.not_before = 0, JobId(""), 0.0
        self.sent_at, self.handed_out_until = None, 0.0
        if self.parked and not self.parked.times:
            self.parked = None

    def requeue(self, now: float) -> None:
        """Queue the job of a lost worker; its message is still to be sent."""
        self.note("worker_lost")
        self.flight, self.not_before, self.deadline, self.sent_at = "queued", 0.0, now, None

    def count_resend(self, sent_at: float, now: float) -> None:
        """Wait for the message that was sent again."""
        self.resent, self.sent_at = self.resent + 1, sent_at
        self.handed_out_until, self.resender = 0.0, JobId("")
        self._set_deadline(now)

    def _set_deadline(self, now: float) -> None:
        """Give the job's message its time; the more often it was sent, the more."""
        self.deadline = now + self.queue_deadline * 2 ** min(self.resent, MAX_DOUBLINGS)
        if self.expires_at is not None:
            self.deadline = min(self.deadline, self.expires_at)
