"""Keeps records in this process: for tests, for trying things out, and as the reference of the scripts.

It repeats the record's rules in plain Python. The contract suite and the property test compare it with the
Lua scripts, where the comments explain the rules.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from itertools import count
from threading import Condition
from typing import TYPE_CHECKING, Literal

from askonce.adapters.memory.announcements import MemoryAnnouncements
from askonce.adapters.memory.attach import attach
from askonce.adapters.memory.controls import MemoryControls
from askonce.adapters.memory.letters import MemoryLetters
from askonce.adapters.memory.record import MemoryRecord, MemoryValue, dead_job, disclosed, snapshot
from askonce.adapters.memory.subscription import MemorySubscription
from askonce.adapters.memory.tally import MemoryTally
from askonce.job import JobId, Owner
from askonce.record import BUCKETS, MAX_RESENDS, PROGRESS_SLACK, TOMBSTONE_KEPT, WAITERS_KEPT, Snapshot
from askonce.store import (
    ANY_PRIORITY,
    DEFAULT_BUDGET,
    Admission,
    Budget,
    Cancellation,
    Lost,
    Parking,
    Reply,
    Start,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from askonce.answer import Encoded, Ttl
    from askonce.checks import Finding
    from askonce.events import Listener
    from askonce.job import Job, Key
    from askonce.letters import DeadJob
    from askonce.record import Flight
    from askonce.store import Claim, Delivered, Failing, Lease, Resent
    from askonce.tally import Book


class MemoryStore:
    """The store in one process, behind one lock."""

    #: No broker can share it.
    pusher = None

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Judge time by *clock*, in seconds."""
        self._clock = clock
        self._records: dict[Key, MemoryRecord] = {}
        self._changed = Condition()
        self._ended: dict[Key, int] = {}
        self._ends = count(1)
        self.letters = MemoryLetters(self._changed, self._now, self._dead_jobs)
        self.controls = MemoryControls(self._changed, clock)
        self.tally = MemoryTally(self._changed, self._now)
        #: Up to when each queue has delivered its messages, by its name and priority.
        self._delivered: dict[tuple[str, int | Literal["*"]], float] = {}
        self.announcements = MemoryAnnouncements(self._changed, self._now)

    def report_to(self, listen: Listener) -> None:
        """Report nothing: memory is never down."""

    def check(self) -> list[Finding]:
        """Find nothing: memory stands on no server."""
        return []

    def read(self, keys: Sequence[Key]) -> list[Snapshot]:
        """Look at records; changes nothing."""
        with self._changed:
            return [snapshot(self._look(key), self._now()) for key in keys]

    def admit(self, claim: Claim) -> Reply[Admission]:
        """Give the first caller the right to send a message; give every other caller that job."""
        with self._changed:
            job, terms = claim
            record = self._load(job.key) or MemoryRecord()
            self.controls.apply(record, job)
            if record.fingerprint and record.fingerprint != job.fingerprint:
                if terms.on_mismatch == "conflict":
                    self.tally.count((job.task, job.tenant, job.model), "conflict")
                    return Reply(Admission.CONFLICT, Snapshot())
                self._doubt(record)
                record.value = None
                record.forget_failure()
                record.flight, record.not_before, record.job = "idle", 0.0, JobId("")
            if record.is_expired(self._now()):
                self._end_unrun(job.key, record, "expired")
            if record.flight == "queued" and record.job == job.id:
                return Reply(Admission.ADMITTED, disclosed(record, self._now()))
            handed_out = record.resender == job.id and self._now() < record.handed_out_until
            if record.flight == "queued" and handed_out:
                return Reply(Admission.RESEND, disclosed(record, self._now(), to_sender=True))
            outcome, ignored = self._admit(record, claim)
            self.tally.count((job.task, job.tenant, job.model), outcome.value)
            shown = disclosed(record, self._now(), to_sender=outcome is Admission.RESEND)
            return Reply(outcome, shown, ignored=ignored)

    def _admit(self, record: MemoryRecord, claim: Claim) -> tuple[Admission, tuple[str, ...]]:
        now, (job, terms) = self._now(), claim
        value = record.value if record.fresh(now) and not terms.force else None
        if value and (terms.max_age is None or now - value.stored_at <= terms.max_age):
            cost = value.answer.micro_usd
            what = "avoided_unknown" if cost is None else "avoided_micro_usd"
            self.tally.count((job.task, job.tenant, job.model), what, 1 if cost is None else cost)
            return Admission.HIT, ()
        if record.flight != "idle":
            return self._attach_or_resend(record, claim)
        if not terms.force and record.failure_answers(now):
            return Admission.NEGATIVE, ()
        if not terms.force and now < record.not_before:
            return Admission.BACKOFF, ()
        record.enter(claim, now)
        self._commit(job.key, record)
        return Admission.ADMITTED, ()

    def _attach_or_resend(self, record: MemoryRecord, claim: Claim) -> tuple[Admission, tuple[str, ...]]:
        now, job = self._now(), claim.job
        if record.paused is not None or not self._is_lost(record):
            ignored, resend = attach(record, claim, now)
            if resend:
                record.resender = job.id
                record.hand_out(now)
            self._commit(job.key, record)
            return (Admission.RESEND if resend else Admission.ATTACHED), ignored
        if record.flight == "running" and not self._requeue(job.key, record):
            return Admission.NEGATIVE, ()
        if record.resent >= MAX_RESENDS:
            self._quarantine(job.key, record, "undeliverable")
            return Admission.NEGATIVE, ()
        record.resender = job.id
        record.hand_out(now)
        self._commit(job.key, record)
        return Admission.RESEND, ()

    def _is_lost(self, record: MemoryRecord) -> bool:
        """Return whether no worker will start the job by itself any more."""
        now = self._now()
        if now < max(record.deadline, record.handed_out_until):
            return False
        if record.flight == "running" or record.sent_at is None:
            return True
        queue, priority = record.routing.queue, record.routing.priority or 0
        delivered = (self._delivered.get((queue, which), 0.0) for which in (priority, ANY_PRIORITY))
        return round(max(delivered) - record.sent_at, 3) > PROGRESS_SLACK

    def start(self, job: Job, lease: Lease, kept: float = TOMBSTONE_KEPT) -> Reply[Start]:
        """Grant *lease* if *job* is the one admitted."""
        _require_lease(lease)
        with self._changed:
            record = self._look(job.key)
            if record is None:
                age = self._now() - job.admitted_at / 1000
                ended = job.admitted_at > 0 and round(age, 3) >= kept
                return Reply(Start.ENDED if ended else Start.ABSENT, Snapshot())
            if record.fingerprint != job.fingerprint:
                return Reply(Start.CONFLICT if record.job == job.id else Start.SUPERSEDED, Snapshot())
            outcome = self._start(record, job, lease)
            return Reply(outcome, disclosed(record, self._now()))

    def _start(self, record: MemoryRecord, job: Job, lease: Lease) -> Start:
        now = self._now()
        if record.job != job.id:
            return Start.DONE if record.fresh(now) else Start.SUPERSEDED
        if record.flight == "running":
            if record.owner == lease.owner:
                return Start.GRANTED
            return Start.BUSY if now < record.deadline else self._grant(record, lease)
        if record.flight == "queued":
            return self._start_queued(record, lease)
        failed = record.failed_at(now)
        if failed and (failed.kind, failed.reason) == ("quarantined", "undeliverable"):
            record.forget_failure()
            return self._grant(record, lease)
        if record.failure_answers(now):
            return Start.NEGATIVE
        return Start.DONE if record.value_at(now) else Start.SUPERSEDED

    def _start_queued(self, record: MemoryRecord, lease: Lease) -> Start:
        if record.is_expired(self._now()):
            self._end_unrun(lease.key, record, "expired")
            return Start.NEGATIVE
        if self._now() < record.not_before:
            return Start.BACKOFF if record.paused is None else Start.PAUSED
        return self._grant(record, lease)

    def _grant(self, record: MemoryRecord, lease: Lease) -> Start:
        self._doubt(record)
        if record.attempts >= record.max_attempts:
            self._quarantine(lease.key, record, "attempts_spent")
            return Start.NEGATIVE
        if record.paused is not None:
            if record.flight == "running":
                record.note("worker_lost")
            record.park_paused(self._now())
            self._commit(lease.key, record)
            return Start.PAUSED
        record.grant(lease.owner, self._clock(), self._now(), lease.seconds)
        self._commit(lease.key, record)
        return Start.GRANTED

    def renew(self, leases: Sequence[Lease]) -> list[Write]:
        """Prolong leases."""
        with self._changed:
            return [self._renew(lease) for lease in leases]

    def _renew(self, lease: Lease) -> Write:
        _require_lease(lease)
        record = self._held(lease, "running")
        if isinstance(record, Write):
            return record
        record.deadline = self._now() + lease.seconds
        self._commit(lease.key, record)
        return Write.OK

    def checkpoint(self, lease: Lease, reference: str) -> Write:
        """Keep the provider's reference of a call under way."""
        with self._changed:
            record = self._held(lease, "running")
            if isinstance(record, Write):
                return record
            record.checkpoint = reference
            return Write.OK

    def complete(self, lease: Lease, answer: Encoded, ttl: Ttl, book: Book | None = None) -> Write:
        """Publish *answer* and end the flight."""
        with self._changed:
            record = self._held(lease, "running", "queued", "idle")
            if isinstance(record, Write):
                self._book_late(lease, book, known=record is Write.FENCED)
                return record
            now = self._now()
            failed = record.failed_at(now)
            if record.flight == "idle" and not (failed and failed.kind == "quarantined"):
                if record.value is not None and record.value.fence == record.fence:
                    return Write.OK
                self._book_late(lease, book, known=True)
                return Write.FENCED
            self.tally.book(book)
            if record.flight != "running":
                self.tally.count(record.name, "in_doubt", -1)
            record.value = MemoryValue(answer, record.fence, now, now + ttl.fresh, now + ttl.kept)
            record.forget_failure()
            record.leave()
            record.payload, record.checkpoint, record.not_before = b"", "", 0.0
            self._commit(lease.key, record, now + WAITERS_KEPT)
            self._wake(lease.key)
            return Write.OK

    def fail(self, lease: Lease, failure: Failing) -> Reply[Write]:
        """Record why there is no answer."""
        with self._changed:
            record = self._look(lease.key)
            if record is None:
                self._book_late(lease, failure.book, known=False)
                return Reply(Write.ABSENT, Snapshot())
            if record.owner != lease.owner or record.flight != "running":
                failed = record.failed
                if failed and (failed.owner, failed.job) == (lease.owner, record.job):
                    return Reply(Write.OK, disclosed(record, self._now()))
                self._book_late(lease, failure.book, known=True)
                return Reply(Write.FENCED, Snapshot())
            self.tally.book(failure.book)
            self._fail(lease.key, record, failure)
            return Reply(Write.OK, disclosed(record, self._now()))

    def _fail(self, key: Key, record: MemoryRecord, failure: Failing) -> None:
        now, spent, kept = self._now(), record.attempts >= record.max_attempts, 0.0
        if failure.kind == "transient" and spent and failure.quarantine:
            self._quarantine(key, record, failure.reason)
            kept = now + TOMBSTONE_KEPT
        else:
            failed = record.fail(failure.kind, failure.reason, now + failure.keep)
            record.leave()
            record.not_before = now + failure.after
            if failure.kind == "transient" and not spent:
                failed.until += failure.after
                record.flight, record.deadline = "queued", now + failure.after
            else:
                record.payload, record.checkpoint = b"", ""
                kept = now + TOMBSTONE_KEPT
            if failure.kind == "fallback":
                failed.fallback = failure.fallback
            self._wake(key)
        record.owner = Owner("")
        self._commit(key, record, kept)

    def park(self, lease: Lease, reason: str, after: float, within: float) -> Parking:
        """Give a lease back before anything was paid."""
        with self._changed:
            record = self._held(lease, "running", "queued")
            if isinstance(record, Write):
                return Parking.ABSENT if record is Write.ABSENT else Parking.FENCED
            if record.flight == "queued":
                return Parking.PARKED
            now = self._now()
            since = record.parked.since if record.parked else now
            if round(now + after - since, 3) > within:
                return Parking.SPENT
            record.park(reason, now, after)
            record.attempts -= 1
            self._commit(lease.key, record)
            return Parking.PARKED

    def cancel(self, key: Key, run: str | None = None) -> Cancellation:
        """End a queued job unpaid."""
        with self._changed:
            record = self._load(key)
            if record is None:
                return Cancellation.ABSENT
            if record.flight == "idle":
                failed = record.failed_at(self._now())
                cancelled = failed is not None and failed.kind == "cancelled"
                return Cancellation.CANCELLED if cancelled else Cancellation.IDLE
            if run is not None and (record.run != run or record.shared):
                return Cancellation.SHARED
            if record.flight == "running":
                return Cancellation.RUNNING
            self.tally.count(record.name, "cancelled")
            self._end_unrun(key, record, "cancelled")
            return Cancellation.CANCELLED

    def invalidate(self, key: Key) -> Write:
        """Forget answer, failure and flight."""
        with self._changed:
            record = self._load(key)
            if record is None:
                return Write.ABSENT
            self._doubt(record)
            self._records[key] = MemoryRecord(fence=record.fence)
            self._records[key].kept_until = self._now() + TOMBSTONE_KEPT
            self._wake(key)
            return Write.OK

    def reap(
        self, buckets: Sequence[int], delivered: Sequence[Delivered] = (), budget: Budget = DEFAULT_BUDGET
    ) -> list[Lost]:
        """Hand out jobs that no worker will start by itself any more."""
        with self._changed:
            for each in delivered:
                name, known = (
                    (each.queue, each.priority),
                    self._delivered.get((each.queue, each.priority), 0.0),
                )
                time = each.sent_at / 1000 if each.seconds is None else self._now() - each.seconds
                self._delivered[name] = max(known, time)
            looked_at = buckets if budget.jobs else ()
            return [lost for bucket in looked_at for lost in self._reap(bucket % BUCKETS, budget)]

    def _reap(self, bucket: int, budget: Budget) -> Iterator[Lost]:
        held = [key for key in self._records if key.startswith(f"{bucket:02x}")]
        flying = [key for key in held if (found := self._look(key)) and found.flight != "idle"]
        now, (jobs, size) = self._now(), budget
        looks = {key: max(self._records[key].deadline, self._records[key].handed_out_until) for key in flying}
        count = 0
        for key in sorted((key for key in flying if looks[key] <= now), key=lambda k: (looks[k], k)):
            record = self._records[key]
            if not self._is_due(key, record):
                continue
            if count >= jobs or (count and len(record.payload) > size):
                return
            count, size = count + 1, size - len(record.payload)
            if record.flight == "running":
                self._doubt(record)
                record.requeue(now)
            record.hand_out(now)
            self._commit(key, record)
            yield Lost(record.as_job(key), record.resent, int(now * 1000))

    def _is_due(self, key: Key, record: MemoryRecord) -> bool:
        """Return whether the job is to be handed out; end it where it is over."""
        now = self._now()
        if record.is_expired(now):
            self._end_unrun(key, record, "expired")
        elif record.flight == "queued" and record.paused is not None:
            record.deadline = now
            self._commit(key, record)
        elif not self._is_lost(record):
            return False
        elif record.flight == "running" and record.attempts >= record.max_attempts:
            self._doubt(record)
            self._quarantine(key, record, "attempts_spent")
        elif record.resent >= MAX_RESENDS:
            self._quarantine(key, record, "undeliverable")
        else:
            return True
        return False

    def resent(self, sent: Sequence[Resent]) -> list[Write]:
        """Count messages that were sent again."""
        with self._changed:
            return [self._resent(each) for each in sent]

    def _resent(self, sent: Resent) -> Write:
        record = self._load(sent.key)
        if record is None:
            return Write.ABSENT
        if record.job != sent.job or record.flight != "queued":
            return Write.FENCED
        if record.sent_at != sent.sent_at / 1000:
            record.count_resend(sent.sent_at / 1000, self._now())
            self._commit(sent.key, record)
        return Write.OK

    @contextmanager
    def subscribe(self, keys: Sequence[Key]) -> Iterator[MemorySubscription]:
        """Wake up when a flight of one of *keys* ends."""
        yield MemorySubscription(self._changed, self._ended, frozenset(keys))

    def _now(self) -> float:
        return int(self._clock() * 1000) / 1000

    def _load(self, key: Key) -> MemoryRecord | None:
        record = self._records.get(key)
        if record is not None and record.kept_until <= self._now():
            del self._records[key]
            return None
        return record

    def _held(self, lease: Lease, *flights: Flight) -> MemoryRecord | Write:
        """Return the record if the lease's owner has it in one of *flights*, else why not."""
        record = self._load(lease.key)
        if record is None:
            return Write.ABSENT
        return record if record.owner == lease.owner and record.flight in flights else Write.FENCED

    def _dead_jobs(self, keys: Sequence[Key] | None, *, payload: bool) -> list[DeadJob | None]:
        chosen = list(self._records) if keys is None else keys
        found = ((key, self._load(key)) for key in list(chosen))
        return [dead_job(key, record, self._now(), payload=payload) for key, record in found]

    def _look(self, key: Key) -> MemoryRecord | None:
        """Load a record under the controls that hold now."""
        record = self._load(key)
        if record is not None:
            self.controls.apply(record)
        return record

    def _commit(self, key: Key, record: MemoryRecord, until: float = 0.0) -> None:
        record.keep(until)
        self._records[key] = record

    def _requeue(self, key: Key, record: MemoryRecord) -> bool:
        """Queue the job of a lost worker; return False where it has no attempts left."""
        self._doubt(record)
        if record.attempts >= record.max_attempts:
            self._quarantine(key, record, "attempts_spent")
            return False
        record.requeue(self._now())
        return True

    def _doubt(self, record: MemoryRecord) -> None:
        """Count a run that is overtaken: whether its call was paid is unknown."""
        if record.flight == "running":
            self.tally.count(record.name, "in_doubt")

    def _book_late(self, lease: Lease, book: Book | None, *, known: bool) -> None:
        self.tally.book_late(lease.owner, book, known=known)

    def _quarantine(self, key: Key, record: MemoryRecord, reason: str) -> None:
        record.quarantine(reason, self._now())
        self._commit(key, record, self._now() + TOMBSTONE_KEPT)
        self._wake(key)

    def _end_unrun(self, key: Key, record: MemoryRecord, kind: Literal["expired", "cancelled"]) -> None:
        record.end_unrun(kind, self._now())
        self._commit(key, record, self._now() + TOMBSTONE_KEPT)
        self._wake(key)

    def _wake(self, key: Key) -> None:
        self._ended[key] = next(self._ends)
        self._changed.notify_all()


def _require_lease(lease: Lease) -> None:
    if lease.seconds <= 0:
        raise ValueError("a lease must be longer than 0 seconds")
