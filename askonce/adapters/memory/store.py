"""Keeps records in this process: for tests, for trying things out, and as the reference of the scripts.

It repeats the record's rules in plain Python. The contract suite and the property test compare it with the
Lua scripts, where the comments explain the rules.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from itertools import count
from threading import Condition
from typing import TYPE_CHECKING

from askonce.adapters.memory.announcements import MemoryAnnouncements
from askonce.adapters.memory.letters import MemoryLetters
from askonce.adapters.memory.record import MemoryRecord, MemoryValue, dead_job, disclosed, snapshot
from askonce.adapters.memory.subscription import MemorySubscription
from askonce.job import JobId, Owner
from askonce.record import BUCKETS, MAX_RESENDS, TOMBSTONE_KEPT, Snapshot
from askonce.store import Admission, Lost, Reply, Start, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from askonce.answer import Encoded, Ttl
    from askonce.checks import Finding
    from askonce.events import Listener
    from askonce.job import Job, Key
    from askonce.letters import DeadJob
    from askonce.record import Flight
    from askonce.store import Claim, Failing, Lease


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
        self.announcements = MemoryAnnouncements(self._changed, self._now)

    def report_to(self, listen: Listener) -> None:
        """Report nothing: memory is never down."""

    def check(self) -> list[Finding]:
        """Find nothing: memory stands on no server."""
        return []

    def read(self, keys: Sequence[Key]) -> list[Snapshot]:
        """Look at records; changes nothing."""
        with self._changed:
            return [snapshot(self._load(key), self._now()) for key in keys]

    def admit(self, claim: Claim) -> Reply[Admission]:
        """Give the first caller the right to send a message; give every other caller that job."""
        with self._changed:
            record = self._load(claim.job.key) or MemoryRecord()
            if record.fingerprint and record.fingerprint != claim.job.fingerprint:
                if claim.terms.on_mismatch == "conflict":
                    return Reply(Admission.CONFLICT, Snapshot())
                record.value = None
                record.forget_failure()
                record.flight, record.not_before, record.job = "idle", 0.0, JobId("")
            outcome = self._admit(record, claim)
            return Reply(outcome, disclosed(record, self._now()))

    def _admit(self, record: MemoryRecord, claim: Claim) -> Admission:
        now, (job, terms) = self._now(), claim
        if record.flight == "queued" and job.id in (record.job, record.resender):
            return Admission.ADMITTED if record.job == job.id else Admission.RESEND
        value = record.value if record.fresh(now) and not terms.force else None
        if value and (terms.max_age is None or now - value.stored_at <= terms.max_age):
            return Admission.HIT
        if record.flight != "idle":
            return self._attach_or_resend(record, job)
        if not terms.force and record.failure_answers(now):
            return Admission.NEGATIVE
        if not terms.force and now < record.not_before:
            return Admission.BACKOFF
        if record.job == job.id:
            return Admission.ATTACHED
        record.enter(claim, now)
        self._commit(job.key, record)
        return Admission.ADMITTED

    def _attach_or_resend(self, record: MemoryRecord, job: Job) -> Admission:
        if self._now() < record.deadline:
            return Admission.ATTACHED
        if record.flight == "running" and record.attempts >= record.max_attempts:
            self._quarantine(job.key, record, "attempts_spent")
            return Admission.NEGATIVE
        record.resender = job.id
        self._requeue(job.key, record)
        return Admission.RESEND

    def start(self, job: Job, lease: Lease) -> Reply[Start]:
        """Grant *lease* if *job* is the one admitted."""
        _require_lease(lease)
        with self._changed:
            record = self._load(job.key)
            if record is None:
                return Reply(Start.ABSENT, Snapshot())
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
            return Start.BACKOFF if now < record.not_before else self._grant(record, lease)
        failed = record.failed_at(now)
        if failed and (failed.kind, failed.reason) == ("quarantined", "undeliverable"):
            record.forget_failure()
            return self._grant(record, lease)
        if record.failure_answers(now):
            return Start.NEGATIVE
        return Start.DONE if record.value_at(now) else Start.SUPERSEDED

    def _grant(self, record: MemoryRecord, lease: Lease) -> Start:
        if record.attempts >= record.max_attempts:
            self._quarantine(lease.key, record, "attempts_spent")
            return Start.NEGATIVE
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

    def complete(self, lease: Lease, answer: Encoded, ttl: Ttl) -> Write:
        """Publish *answer* and end the flight."""
        with self._changed:
            record = self._held(lease, "running", "queued", "idle")
            if isinstance(record, Write):
                return record
            now = self._now()
            failed = record.failed_at(now)
            if record.flight == "idle" and not (failed and failed.kind == "quarantined"):
                stored = record.value is not None and record.value.fence == record.fence
                return Write.OK if stored else Write.FENCED
            record.value = MemoryValue(answer, record.fence, now, now + ttl.fresh, now + ttl.kept)
            record.forget_failure()
            record.payload, record.checkpoint = b"", ""
            record.flight, record.not_before = "idle", 0.0
            self._commit(lease.key, record)
            self._wake(lease.key)
            return Write.OK

    def fail(self, lease: Lease, failure: Failing) -> Reply[Write]:
        """Record why there is no answer."""
        with self._changed:
            record = self._load(lease.key)
            if record is None:
                return Reply(Write.ABSENT, Snapshot())
            if record.owner != lease.owner or record.flight != "running":
                failed = record.failed
                if failed and (failed.owner, failed.job) == (lease.owner, record.job):
                    return Reply(Write.OK, disclosed(record, self._now()))
                return Reply(Write.FENCED, Snapshot())
            self._fail(lease.key, record, failure)
            return Reply(Write.OK, disclosed(record, self._now()))

    def _fail(self, key: Key, record: MemoryRecord, failure: Failing) -> None:
        now, spent = self._now(), record.attempts >= record.max_attempts
        if failure.kind == "transient" and spent and failure.quarantine:
            self._quarantine(key, record, failure.reason)
        else:
            failed = record.fail(failure.kind, failure.reason, now + failure.keep)
            record.not_before = now + failure.after
            if failure.kind == "transient" and not spent:
                failed.until += failure.after
                record.flight, record.deadline, record.resent = "queued", now + failure.after, 0
            else:
                record.flight, record.payload, record.checkpoint = "idle", b"", ""
            if failure.kind == "fallback":
                failed.fallback = failure.fallback
            self._wake(key)
        record.owner = Owner("")
        self._commit(key, record)

    def release(self, lease: Lease) -> Write:
        """Give a lease back before the call began."""
        with self._changed:
            record = self._held(lease, "running", "queued")
            if isinstance(record, Write):
                return record
            if record.flight == "running":
                record.flight, record.deadline = "queued", self._now()
                record.attempts -= 1
                self._commit(lease.key, record)
            return Write.OK

    def invalidate(self, key: Key) -> Write:
        """Forget answer, failure and flight."""
        with self._changed:
            record = self._load(key)
            if record is None:
                return Write.ABSENT
            self._records[key] = MemoryRecord(task=record.task, fence=record.fence)
            self._records[key].kept_until = self._now() + TOMBSTONE_KEPT
            self._wake(key)
            return Write.OK

    def reap(self, buckets: Sequence[int], limit: int) -> list[Lost]:
        """Collect jobs whose time ran out."""
        with self._changed:
            return [lost for bucket in buckets for lost in self._reap(bucket % BUCKETS, limit)]

    def _reap(self, bucket: int, limit: int) -> Iterator[Lost]:
        held = [key for key in self._records if key.startswith(f"{bucket:02x}")]
        flying = [key for key in held if (found := self._load(key)) and found.flight != "idle"]
        late = [key for key in flying if self._records[key].deadline <= self._now()]
        for key in sorted(late, key=lambda k: (self._records[k].deadline, k))[:limit]:
            record = self._records[key]
            if record.flight == "running" and record.attempts >= record.max_attempts:
                self._quarantine(key, record, "attempts_spent")
            elif record.resent >= MAX_RESENDS:
                self._quarantine(key, record, "undeliverable")
            else:
                self._requeue(key, record)
                yield Lost(record.as_job(key), record.resent)

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

    def _commit(self, key: Key, record: MemoryRecord) -> None:
        record.keep()
        self._records[key] = record

    def _requeue(self, key: Key, record: MemoryRecord) -> None:
        record.requeue(self._now())
        self._commit(key, record)

    def _quarantine(self, key: Key, record: MemoryRecord, reason: str) -> None:
        record.quarantine(reason, self._now())
        self._commit(key, record)
        self._wake(key)

    def _wake(self, key: Key) -> None:
        self._ended[key] = next(self._ends)
        self._changed.notify_all()


def _require_lease(lease: Lease) -> None:
    if lease.seconds <= 0:
        raise ValueError("a lease must be longer than 0 seconds")
