"""Keeps records in this process: for tests, for trying things out, and as the reference of the scripts.

It repeats the record's rules in plain Python. The contract suite and the property test compare it with the
Lua scripts, where the comments explain the rules.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from askonce.adapters.memory.admit import admit, answered, serve
from askonce.adapters.memory.announcements import MemoryAnnouncements
from askonce.adapters.memory.audit import MemoryAudit
from askonce.adapters.memory.boards import MemoryBoards
from askonce.adapters.memory.due import MemoryDue
from askonce.adapters.memory.flights import MemoryFlights
from askonce.adapters.memory.letters import MemoryLetters
from askonce.adapters.memory.put import put
from askonce.adapters.memory.reap import reap
from askonce.adapters.memory.record import MemoryRecord, MemoryValue
from askonce.adapters.memory.records import Records
from askonce.adapters.memory.runs import MemoryRuns
from askonce.adapters.memory.schedules import MemorySchedules
from askonce.adapters.memory.shown import disclosed, snapshot, to_kept
from askonce.adapters.memory.start import copied, require_lease, start
from askonce.adapters.memory.subscription import MemoryInvalidations, MemorySubscription
from askonce.adapters.memory.used_queues import MemoryUsedQueues
from askonce.events import EventType, Subject, emit, ignore
from askonce.job import JobId
from askonce.lost import DEFAULT_BUDGET, Budget, Lost
from askonce.record import BUCKETS, TOMBSTONE_KEPT, WAITERS_KEPT, Snapshot
from askonce.store import Admission, Cancellation, Cancelled, Parking, Renewal, Reply, Start, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from askonce.answer import Encoded, Kept, Ttl
    from askonce.checks import Finding
    from askonce.claim import Claim
    from askonce.errors import JobError, RecordDamaged
    from askonce.events import Listener
    from askonce.job import Job, Key
    from askonce.levels import Levels
    from askonce.lost import Delivered, Resent
    from askonce.store import Failing, Lease, Place
    from askonce.tally import Book


class MemoryStore:
    """The store in one process, behind one lock."""

    #: No broker can share it.
    pusher = None

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Judge time by *clock*, in seconds."""
        self._records = records = Records(clock)
        self._changed = records.changed
        self.flights = MemoryFlights(records, self._snapshot)
        self.due = MemoryDue(records)
        self.letters = MemoryLetters(records.changed, records.now, records.dead_jobs)
        self.controls, self.tally = records.controls, records.tally
        self._used_queues = MemoryUsedQueues(records.changed, records.now)
        self.announcements = MemoryAnnouncements(records.changed, records.now, self._used_queues)
        self.boards = MemoryBoards(records.changed, records.now)
        self.runs = MemoryRuns(records.changed, records.now)
        self.audit = MemoryAudit(records.changed, records.now)
        self.schedules = MemorySchedules(records.changed, records.now)
        self._listen: Listener = ignore

    def report_to(self, listen: Listener) -> None:
        """Emit what a person does to a record to *listen*: memory is never down."""
        self._listen = listen

    def levels(self) -> Levels:
        """Return what the store holds now."""
        with self._changed:
            return self._records.levels(len(self.letters.dead_messages()))

    def used_queues(self) -> dict[str, float]:
        """Return the queues that are in use."""
        return self._used_queues.ages()

    def check(self) -> list[Finding]:
        """Find nothing: memory stands on no server."""
        return []

    def read(self, keys: Sequence[Key]) -> list[Snapshot]:
        """Look at records; changes nothing."""
        with self._changed:
            return [self._snapshot(key) for key in keys]

    def _snapshot(self, key: Key) -> Snapshot:
        record = self._records.look(key)
        lost = record is not None and record.flight != "idle" and self._records.is_lost(record)
        return snapshot(record, self._records.now())._replace(lost=lost)

    def hit(self, job: Job, meanwhile: float = 0.0) -> Kept | None:
        """Return the answer to *job* while it is fresh or made anew, and count the hit."""
        with self._changed:
            record, now = answered(self._records, job, meanwhile), self._records.now()
            if record is None or record.value is None:
                return None
            outcome = Admission.HIT if record.fresh(now) else Admission.STALE
            self.tally.count((job.task, job.tenant, job.model), outcome.value)
            serve(self._records, record.value, job, outcome)
            return to_kept(record, record.value, now)

    def admit(self, claim: Claim) -> Reply[Admission]:
        """Give the first caller the right to send a message; give every other caller that job."""
        with self._changed:
            job, terms = claim
            self._used_queues.note((job.routing.queue,))
            record = self._records.load(job.key) or MemoryRecord()
            self.controls.apply(record, job)
            differs = record.fingerprint not in ("", job.fingerprint)
            if differs and terms.on_mismatch == "conflict":
                self.tally.count((job.task, job.tenant, job.model), "conflict")
                return Reply(Admission.CONFLICT, Snapshot())
            if differs or record.is_void:
                self._records.doubt(record)
                record.forget()
                record.flight, record.not_before, record.job = "idle", 0.0, JobId("")
            self._records.end_if_over(job.key, record)
            if record.flight == "queued" and record.job == job.id:
                return Reply(Admission.ADMITTED, disclosed(record, self._records.now()))
            handed_out = record.resender == job.id and self._records.now() < record.handed_out_until
            if record.flight == "queued" and handed_out:
                return Reply(Admission.RESEND, disclosed(record, self._records.now(), to_sender=True))
            outcome, ignored = admit(self._records, record, claim)
            self.tally.count((job.task, job.tenant, job.model), outcome.value)
            shown = disclosed(record, self._records.now(), to_sender=outcome is Admission.RESEND)
            return Reply(outcome, shown, ignored=ignored)

    def admit_many(self, claims: Sequence[Claim]) -> list[Reply[Admission] | JobError]:
        """Admit each of *claims*."""
        with self._changed:
            return [self.admit(claim) for claim in claims]

    def start(
        self, job: Job, lease: Lease, kept: float = TOMBSTONE_KEPT, *, returns: bool = False
    ) -> Reply[Start]:
        """Grant *lease* if *job* is the one admitted."""
        require_lease(lease)
        with self._changed:
            record = self._records.look(job.key)
            if record is None:
                age = self._records.now() - job.admitted_at / 1000
                ended = job.admitted_at > 0 and round(age, 3) >= kept
                return Reply(Start.ENDED if ended else Start.ABSENT, Snapshot())
            if record.fingerprint != job.fingerprint:
                is_own = record.job == job.id
                outcome = Start.CONFLICT if is_own else copied(self._records, record, Start.SUPERSEDED)
                return Reply(outcome, Snapshot())
            outcome = start(self._records, record, job, lease, returns=returns)
            now, granted = self._records.now(), outcome is Start.GRANTED
            return Reply(outcome, disclosed(record, now, granted=granted))

    def renew(self, leases: Sequence[Lease]) -> list[Renewal]:
        """Prolong leases."""
        with self._changed:
            return [self._renew(lease) for lease in leases]

    def _renew(self, lease: Lease) -> Renewal:
        require_lease(lease)
        record, now = self._records.held(lease, "running"), self._records.now()
        if isinstance(record, Write):
            return Renewal.ABSENT if record is Write.ABSENT else Renewal.FENCED
        record.deadline = now + lease.seconds
        self._records.commit(lease.key, record)
        return Renewal.CANCELLED if record.is_cancelled(now) else Renewal.OK

    def checkpoint(self, lease: Lease, reference: str) -> Write:
        """Keep the provider's reference of a call under way."""
        with self._changed:
            record = self._records.held(lease, "running", writes=True)
            if isinstance(record, Write):
                return record
            record.checkpoint = reference
            return Write.OK

    def complete(
        self,
        lease: Lease,
        answer: Encoded,
        ttl: Ttl,
        book: Book | None = None,
        *,
        keep_payload: bool = False,
        begun_for: float = 0.0,
    ) -> Write:
        """Publish *answer* and end the flight."""
        with self._changed:
            record = self._records.held(lease, "running", "queued", "idle", writes=True)
            if isinstance(record, Write):
                self._records.book_late(lease, book, known=record is Write.FENCED)
                return record
            now = self._records.now()
            if record.flight == "idle" and record.value and record.value.fence == record.fence:
                return Write.OK
            self.tally.book(book)
            self.controls.apply_marks(record)
            began = self._records.began(record, begun_for)
            if began <= record.mark:
                self._records.refuse(lease.key, record, book)
                return Write.FENCED
            if record.flight == "running":
                self._records.count_ended(record)
            else:
                self.tally.count(record.name, "in_doubt", -1)
            self.tally.count(record.name, "done")
            fresh = 0.0 if began <= record.aged else ttl.fresh
            record.value = MemoryValue(
                answer, record.fence, now, now + fresh, now + ttl.kept, with_payload=keep_payload
            )
            record.forget_failure()
            record.leave()
            record.checkpoint, record.not_before, record.spent, record.removed_at = "", 0.0, b"", 0
            if not keep_payload:
                record.payload = b""
            self._records.commit(lease.key, record, now + WAITERS_KEPT)
            if book is not None and record.kept_until < now + TOMBSTONE_KEPT:
                # A repetition of this write may find the record gone.
                self.tally.note_booked([lease.owner])
            self._records.wake(lease.key)
            return Write.OK

    def put(self, job: Job, answer: Encoded, ttl: Ttl) -> bool:
        """Keep *answer*, which no run gives."""
        with self._changed:
            record = self._records.load(job.key) or MemoryRecord()
            self.controls.apply(record, job)
            return put(self._records, record, job, answer, ttl)

    def fail(self, lease: Lease, failure: Failing) -> Reply[Write]:
        """Record why there is no answer."""
        with self._changed:
            record = self._records.look(lease.key)
            if record is None:
                self._records.book_late(lease, failure.book, known=False)
                return Reply(Write.ABSENT, Snapshot())
            if record.owner != lease.owner or record.flight != "running":
                failed = record.failed
                if failed and (failed.owner, failed.job) == (lease.owner, record.job):
                    return Reply(Write.OK, disclosed(record, self._records.now()))
                self._records.book_late(lease, failure.book, known=True)
                self.tally.count_run(record.task, "fenced")
                return Reply(Write.FENCED, Snapshot())
            self.tally.book(failure.book)
            self._records.count_ended(record)
            self._fail(lease.key, record, failure)
            return Reply(Write.OK, disclosed(record, self._records.now()))

    def _fail(self, key: Key, record: MemoryRecord, failure: Failing) -> None:
        record.max_attempts, record.spent = failure.max_attempts or record.max_attempts, failure.spent
        now, spent, kept = self._records.now(), record.attempts >= record.max_attempts, 0.0
        if failure.kind == "transient" and spent and failure.quarantine:
            self._records.quarantine(key, record, failure.reason)
            kept = now + TOMBSTONE_KEPT
        elif failure.kind == "transient" and not spent and record.is_cancelled(now):
            self._records.end_unrun(key, record, "cancelled")
            kept = now + TOMBSTONE_KEPT
        else:
            failed = record.fail(failure.kind, failure.reason, now + failure.keep)
            record.leave()
            record.not_before = now + failure.after
            if failure.kind == "transient" and not spent:
                failed.until += failure.after
                record.flight, record.deadline = "queued", now + failure.after
            else:
                own = failure.kind in ("fallback", "cancelled")
                self.tally.count(record.name, failure.kind if own else "failed")
                record.checkpoint = ""
                record.forget_payload(now)
                kept = now + TOMBSTONE_KEPT
            if failure.kind == "fallback":
                failed.fallback = failure.fallback
            self._records.wake(key)
        record.report()
        self._records.commit(key, record, kept)

    def park(self, lease: Lease, reason: str, after: float, within: float, spent: bytes = b"") -> Parking:
        """Give a lease back before anything was paid."""
        with self._changed:
            now = self._records.now()
            record = self._records.held(lease, "running", "queued", "idle", writes=True)
            if isinstance(record, Write):
                return Parking.ABSENT if record is Write.ABSENT else Parking.FENCED
            if record.flight == "idle":
                return self._parked_late(record)
            if record.flight == "queued":
                return Parking.PARKED
            cancelled = record.is_cancelled(now)
            if not cancelled and record.parked_for(now) >= within:
                return Parking.SPENT
            self.tally.count_run(record.task, "parked")
            record.attempts -= 1
            record.spent = spent or record.spent
            if cancelled:
                self._records.end_unrun(lease.key, record, "cancelled")
                return Parking.CANCELLED
            record.park(reason, now, after)
            self._records.commit(lease.key, record)
            return Parking.PARKED

    def _parked_late(self, record: MemoryRecord) -> Parking:
        if record.is_cancelled(self._records.now()):
            return Parking.CANCELLED
        self.tally.count_run(record.task, "fenced")
        return Parking.FENCED

    def cancel(self, key: Key, run: str | None = None) -> Cancellation:
        """End a queued job unpaid; a call under way is the job's last."""
        with self._changed:
            return self._records.cancel(key, run)

    def cancel_many(self, keys: Sequence[Key], run: str | None = None) -> list[Cancellation]:
        """Do the same for each of *keys*."""
        return [self.cancel(key, run) for key in keys]

    def cancel_run(self, run: str, places: Sequence[Place]) -> list[Cancelled]:
        """Cancel the jobs of *run* that no other run shares."""
        with self._changed:
            return [Cancelled(self._records.cancel_run(run, place.bucket), None) for place in places]

    def invalidate(self, key: Key, *, expire: bool = False) -> Write:
        """Forget answer, failure and flight, or make the answer stale."""
        with self._changed:
            self._records.tell_invalidated(key)
            record = self._records.load(key)
            if record is None:
                return Write.ABSENT
            if expire:
                self._records.expire(key, record)
            else:
                self._records.invalidate(key, record)
        emit(self._listen, EventType.ANSWER_CLEARED, Subject(key=key))
        return Write.OK

    def reap(
        self, buckets: Sequence[int], delivered: Sequence[Delivered] = (), budget: Budget = DEFAULT_BUDGET
    ) -> list[Lost | RecordDamaged]:
        """Hand out jobs that no worker will start by itself any more."""
        with self._changed:
            for each in delivered:
                self._records.note_delivered(each)
            looked_at = buckets if budget.jobs else ()
            return [lost for bucket in looked_at for lost in reap(self._records, bucket % BUCKETS, budget)]

    def resent(self, sent: Sequence[Resent]) -> list[Write]:
        """Count messages that were sent again."""
        with self._changed:
            return [self._resent(each) for each in sent]

    def _resent(self, sent: Resent) -> Write:
        record = self._records.load(sent.key)
        if record is None:
            return Write.ABSENT
        if record.job != sent.job or record.flight != "queued":
            return Write.FENCED
        if record.sent_at != sent.sent_at / 1000:
            if record.handed_out_until == 0.0:
                return Write.FENCED
            self.tally.count_run(record.task, "resent")
            record.count_resend(sent.sent_at / 1000, self._records.now())
            self._records.commit(sent.key, record)
        return Write.OK

    @contextmanager
    def subscribe(self, keys: Sequence[Key]) -> Iterator[MemorySubscription]:
        """Wake up when a flight of one of *keys* ends."""
        yield MemorySubscription(self._changed, self._records.ended, keys)

    def invalidations(self) -> MemoryInvalidations:
        """Hear which answers are invalidated from now on."""
        return MemoryInvalidations(self._changed, self._records.hearing)
