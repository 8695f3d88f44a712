"""All records of one process behind one lock, and the steps that several verbs share."""

from __future__ import annotations

from collections import Counter
from itertools import count
from threading import Condition
from typing import TYPE_CHECKING, Literal

from askonce.adapters.memory.controls import MemoryControls
from askonce.adapters.memory.record import MemoryRecord
from askonce.adapters.memory.shown import dead_job
from askonce.adapters.memory.tally import MemoryTally
from askonce.job import Owner
from askonce.levels import Levels, longest_waits
from askonce.lost import ANY_PRIORITY
from askonce.record import PAUSE_REST, PROGRESS_SLACK, TOMBSTONE_KEPT
from askonce.store import Cancellation, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.job import Key
    from askonce.letters import DeadJob
    from askonce.lost import Delivered
    from askonce.record import Flight
    from askonce.store import Lease
    from askonce.tally import Book


class Records:
    """The records of one store; who calls a method holds the lock ``changed``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Judge time by *clock*, in seconds."""
        self.clock = clock
        self.by_key: dict[Key, MemoryRecord] = {}
        self.changed = Condition()
        #: For each who listens for invalidations, the keys that were not fetched yet; None is any.
        self.hearing: list[set[Key | None]] = []
        #: The number of each key's last end.
        self.ended: dict[Key, int] = {}
        #: Up to when each queue has delivered its messages, by its name and priority.
        self.delivered: dict[tuple[str, int | Literal["*"]], float] = {}
        self.controls = MemoryControls(self)
        self.tally = MemoryTally(self.changed, self.now)
        self._ends = count(1)

    def look_at_paused(self) -> None:
        """Look at the jobs that a pause has put aside."""
        for record in self.by_key.values():
            if record.flight != "idle" and record.look_at >= self.now() + PAUSE_REST:
                record.looked_again = self.now()

    def kept_until(self) -> float:
        """Return until when the last of the answers is kept."""
        values = (record.value for record in self.by_key.values())
        return max((value.kept_until for value in values if value is not None), default=0.0)

    def clear(self) -> None:
        """Lose every record, as a server that comes back empty."""
        with self.changed:
            self.by_key.clear()

    def is_lost(self, record: MemoryRecord) -> bool:
        """Return whether no worker will start the job by itself any more."""
        now = self.now()
        if now < max(record.deadline, record.handed_out_until):
            return False
        if record.flight == "running" or record.sent_at is None:
            return True
        queue, priority = record.routing.queue, record.routing.priority or 0
        delivered = (self.delivered.get((queue, which), 0.0) for which in (priority, ANY_PRIORITY))
        return round(max(delivered) - record.sent_at, 3) > PROGRESS_SLACK

    def note_delivered(self, seen: Delivered) -> None:
        """Remember how far a queue has delivered; a time that is still to come proves nothing."""
        which, now = (seen.queue, seen.priority), self.now()
        known, latest = self.delivered.get(which, 0.0), now + PROGRESS_SLACK
        time = seen.sent_at / 1000 if seen.seconds is None else now - seen.seconds
        if time <= latest and (known < time or known > latest):
            self.delivered[which] = time

    def next_fence(self) -> int:
        """Return the least fence of a run that begins now: no mark is about it."""
        return max(int(self.clock() * 1_000_000), self.controls.latest_mark() + 1)

    def began(self, record: MemoryRecord, begun_for: float) -> int:
        """Return when the call of the run began, in microseconds: with its lease, or before it."""
        if not begun_for:
            return record.fence
        # No fence says that the key was invalidated since.
        record.mark = max(record.mark, record.removed_at)
        return min(record.fence, int((self.clock() - begun_for) * 1_000_000))

    def now(self) -> float:
        """Return the time in seconds, to the millisecond, as the scripts see it."""
        return int(self.clock() * 1000) / 1000

    def load(self, key: Key) -> MemoryRecord | None:
        """Return the record of *key*; None where it is past its time."""
        record = self.by_key.get(key)
        if record is not None and record.kept_until <= self.now():
            del self.by_key[key]
            return None
        return record

    def due(self, bucket: int) -> list[tuple[Key, MemoryRecord]]:
        """Return the jobs in flight of *bucket* that are to be looked at, the longest due first."""
        found = [(key, self.look(key)) for key in list(self.by_key) if key.startswith(f"{bucket:02x}")]
        flying = [(key, record) for key, record in found if record is not None and record.flight != "idle"]
        due = [(key, record) for key, record in flying if record.look_at <= self.now()]
        return sorted(due, key=lambda one: (one[1].look_at, one[0]))

    def held(self, lease: Lease, *flights: Flight, writes: bool = False) -> MemoryRecord | Write:
        """Return the record if the lease's owner has it in one of *flights*, else why not.

        An owner that *writes* what it made, and has no lease any more, is counted.
        """
        record = self.load(lease.key)
        if record is None:
            return Write.ABSENT
        if record.owner == lease.owner and record.flight in flights:
            return record
        if writes:
            self.tally.count_run(record.task, "fenced")
        return Write.FENCED

    def dead_jobs(self, keys: Sequence[Key] | None, *, payload: bool) -> list[DeadJob | None]:
        """Show the quarantined ones of some records; None chooses all."""
        chosen = list(self.by_key) if keys is None else keys
        found = ((key, self.load(key)) for key in list(chosen))
        return [dead_job(key, record, self.now(), payload=payload) for key, record in found]

    def look(self, key: Key) -> MemoryRecord | None:
        """Load a record under the controls that hold now."""
        record = self.load(key)
        if record is not None:
            self.controls.apply(record)
        return record

    def commit(self, key: Key, record: MemoryRecord, until: float = 0.0) -> None:
        """Keep *record* at least *until* then."""
        record.keep(until)
        record.looked_again = None
        self.by_key[key] = record
        self.note_booked(record)

    def note_booked(self, record: MemoryRecord) -> None:
        """Remember the owners that *record* forgot: their writes may be repeated."""
        self.tally.note_booked(record.forgotten)
        record.forgotten.clear()

    def requeue(self, key: Key, record: MemoryRecord) -> bool:
        """Queue the job of a lost worker; return False where it has no attempts left."""
        self.doubt(record)
        if record.attempts >= record.max_attempts:
            self.quarantine(key, record, "attempts_spent")
            return False
        record.requeue(self.now())
        return True

    def doubt(self, record: MemoryRecord) -> None:
        """Count a run that is overtaken: whether its call was paid is unknown."""
        if record.flight == "running":
            self.tally.count(record.name, "in_doubt")
            self.tally.count_run(record.task, "lost")

    def count_started(self, record: MemoryRecord) -> None:
        """Count a start: the first one of a job with the time since its caller wanted it."""
        if record.fence < round(record.admitted_at * 1000) * 1000:
            waited = round(self.now() * 1000) - round(record.wanted_at * 1000)
            self.tally.count_time(record.task, "wait", waited)
        else:
            self.tally.count_run(record.task, "restarted")

    def count_ended(self, record: MemoryRecord) -> None:
        """Count how long the run took that ends with an answer or a failure."""
        self.tally.count_time(record.task, "run", round(self.now() * 1000) - record.fence // 1000)

    def book_late(self, lease: Lease, book: Book | None, *, known: bool) -> None:
        """Count what was paid without a place in the record."""
        self.tally.book_once(lease.owner, book, known=known)

    def quarantine(self, key: Key, record: MemoryRecord, reason: str) -> None:
        """End a flight; an operator decides."""
        self.tally.count(record.name, "quarantined")
        record.quarantine(reason, self.now())
        self.commit(key, record, self.now() + TOMBSTONE_KEPT)
        self.wake(key)

    def end_unrun(self, key: Key, record: MemoryRecord, kind: Literal["expired", "cancelled"]) -> None:
        """End a job that no worker shall run any more."""
        self.tally.count(record.name, kind)
        record.end_unrun(kind, self.now())
        self.commit(key, record, self.now() + TOMBSTONE_KEPT)
        self.wake(key)

    def end_if_over(self, key: Key, record: MemoryRecord) -> None:
        """End a job that expired, or that was cancelled under way and has lost its worker since."""
        now = self.now()
        is_cancelled = record.flight == "running" and record.is_cancelled(now)
        if record.is_expired(now):
            self.end_unrun(key, record, "expired")
        elif is_cancelled and record.attempts < record.max_attempts and self.is_lost(record):
            self.doubt(record)
            record.note("worker_lost")
            self.end_unrun(key, record, "cancelled")

    def hold_back(self, key: Key, record: MemoryRecord, *, returns: bool) -> bool:
        """Leave a paused job to its message and return True where that goes back to its queue.

        Any other job is put back.
        """
        now, returned = self.now(), returns and record.queue_paused
        if returned:
            record.leave_queued(now)
        else:
            record.park_paused(now)
        self.commit(key, record)
        record.look_after_the_pause(now)
        return returned

    def cancel(self, key: Key, run: str | None) -> Cancellation:
        """Cancel a job in flight; with *run*, only if no other run shares it."""
        record = self.load(key)
        if record is None:
            return Cancellation.ABSENT
        if record.flight == "idle":
            cancelled = record.is_cancelled(self.now())
            return Cancellation.CANCELLED if cancelled else Cancellation.IDLE
        if run is not None and (record.run != run or record.shared):
            return Cancellation.SHARED
        if record.flight == "running":
            record.cancel_running(self.now())
            self.commit(key, record)
            return Cancellation.RUNNING
        self.end_unrun(key, record, "cancelled")
        return Cancellation.CANCELLED

    def cancel_run(self, run: str, bucket: int) -> Counter[Cancellation]:
        """Cancel the jobs of *run* in *bucket* that no other run shares; count all of its jobs there."""
        found = [(key, self.load(key)) for key in list(self.by_key) if key.startswith(f"{bucket:02x}")]
        own = [key for key, each in found if each and each.flight != "idle" and each.run == run]
        return Counter(self.cancel(key, run) for key in own)

    def expire(self, key: Key, record: MemoryRecord) -> None:
        """Make the answer stale; a job in flight goes on."""
        now = self.now()
        if record.value is not None:
            record.value.fresh_until = min(record.value.fresh_until, now)
        if record.flight == "running":
            record.aged = int(self.clock() * 1_000_000)
        if record.flight == "idle":
            record.forget_failure()
        self.commit(key, record, now + TOMBSTONE_KEPT)

    def refuse(self, key: Key, record: MemoryRecord, book: Book | None) -> None:
        """Count a paid answer whose run began before a mark that removes, and keep it for no caller."""
        if book is not None:
            self.tally.note_booked([record.owner])
        if record.flight == "running":
            self.count_ended(record)
            self.forget(key, record)
        else:
            self.tally.count(record.name, "in_doubt", -1)
            record.owner = Owner("")
            self.commit(key, record)
        self.tally.count_run(record.task, "fenced")

    def invalidate(self, key: Key, record: MemoryRecord) -> None:
        """Forget all but the fence and the task; a run under way is overtaken."""
        self.doubt(record)
        self.forget(key, record)

    def forget(self, key: Key, record: MemoryRecord) -> None:
        """Forget all but the fence and the task, under which a fenced write is counted."""
        record.forget()
        self.note_booked(record)
        tombstone = MemoryRecord(task=record.task, fence=record.fence, kept_until=self.now() + TOMBSTONE_KEPT)
        tombstone.removed_at = int(self.clock() * 1_000_000)
        self.by_key[key] = tombstone
        self.wake(key)

    def levels(self, dead_messages: int) -> Levels:
        """Return what the store holds now."""
        records, now = [self.load(key) for key in list(self.by_key)], self.now()
        known = [record for record in records if record is not None]
        progress = ((queue, str(which), now - at) for (queue, which), at in self.delivered.items())
        return Levels(
            in_flight=sum(record.flight != "idle" for record in known),
            dead_jobs=sum(dead is not None for dead in self.dead_jobs(None, payload=False)),
            dead_messages=dead_messages,
            waits=longest_waits(progress),
            keys=len(known),
        )

    def tell_invalidated(self, key: Key | None) -> None:
        """Tell those who listen that the answer of *key* is invalidated; None: that any may be."""
        for keys in self.hearing:
            keys.add(key)
        self.changed.notify_all()

    def wake(self, key: Key) -> None:
        """Wake up those who wait for *key*."""
        self.ended[key] = next(self._ends)
        self.changed.notify_all()
