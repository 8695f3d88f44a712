"""Keeps records in this process: for tests, for trying things out, and as the reference of the scripts.

It is the record's rules once more in plain Python; the contract suite and the property test hold it
and the Lua scripts against each other. The comments that explain the rules stand in the scripts.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from itertools import count
from threading import Condition
from typing import TYPE_CHECKING

from askonce.adapters.memory.letters import DeadListing
from askonce.adapters.memory.record import (
    TOMBSTONE_KEPT,
    MemoryRecord,
    MemoryValue,
    snapshot,
    told,
)
from askonce.adapters.memory.subscription import MemorySubscription
from askonce.record import Snapshot
from askonce.store import BUCKETS, MAX_RESENDS, Admission, Lost, Reply, Start, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from askonce.record import Flight
    from askonce.store import Claim, Failing


class MemoryStore(DeadListing):
    """The store in one process, behind one lock."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Judge time by *clock*, in seconds."""
        super().__init__()
        self._clock = clock
        self._records: dict[str, MemoryRecord] = {}
        self._changed = Condition()
        self._ended: dict[str, int] = {}
        self._ends = count(1)

    def read(self, keys: Sequence[str]) -> list[Snapshot]:
        """Look at records; changes nothing."""
        with self._changed:
            return [snapshot(self._load(key), self._now()) for key in keys]

    def admit(self, claim: Claim) -> Reply[Admission]:
        """Give the right to send a message to the first who asks."""
        with self._changed:
            record = self._load(claim.key) or MemoryRecord()
            if record.fingerprint and record.fingerprint != claim.fingerprint:
                if claim.on_mismatch == "conflict":
                    return Reply(Admission.CONFLICT, Snapshot())
                record.value = None
                record.forget_failure()
                record.flight, record.not_before, record.job = "idle", 0.0, ""
            outcome = self._admit(record, claim)
            return Reply(outcome, told(record, self._now()))

    def _admit(self, record: MemoryRecord, claim: Claim) -> Admission:
        now = self._now()
        if record.flight == "queued" and claim.job in (record.job, record.resender):
            return Admission.ADMITTED if record.job == claim.job else Admission.RESEND
        value = record.value if record.fresh(now) and not claim.force else None
        if value and (claim.max_age is None or now - value.stored_at <= claim.max_age):
            return Admission.HIT
        if record.flight != "idle":
            return self._attach_or_resend(record, claim)
        if not claim.force and record.failure_answers(now):
            return Admission.NEGATIVE
        if not claim.force and now < record.not_before:
            return Admission.BACKOFF
        if record.job == claim.job:
            return Admission.ATTACHED
        record.enter(claim, now)
        self._commit(claim.key, record)
        return Admission.ADMITTED

    def _attach_or_resend(self, record: MemoryRecord, claim: Claim) -> Admission:
        if self._now() < record.deadline:
            return Admission.ATTACHED
        if record.flight == "running" and record.attempts >= record.max_attempts:
            self._quarantine(claim.key, record, "attempts_spent")
            return Admission.NEGATIVE
        record.resender = claim.job
        self._requeue(claim.key, record)
        return Admission.RESEND

    def start(self, key: str, job: str, owner: str, fingerprint: str, lease: float) -> Reply[Start]:
        """Lease the key to *owner*, if *job* is the one admitted."""
        _require_lease(lease)
        with self._changed:
            record = self._load(key)
            if record is None:
                return Reply(Start.ABSENT, Snapshot())
            if record.fingerprint != fingerprint:
                return Reply(Start.CONFLICT if record.job == job else Start.SUPERSEDED, Snapshot())
            outcome = self._start(key, record, job, owner, lease)
            return Reply(outcome, told(record, self._now()))

    def _start(self, key: str, record: MemoryRecord, job: str, owner: str, lease: float) -> Start:
        now = self._now()
        if record.job != job:
            return Start.DONE if record.fresh(now) else Start.SUPERSEDED
        if record.flight == "running":
            if record.owner == owner:
                return Start.GRANTED
            return Start.BUSY if now < record.deadline else self._grant(key, record, owner, lease)
        if record.flight == "queued":
            return Start.BACKOFF if now < record.not_before else self._grant(key, record, owner, lease)
        failed = record.failed_at(now)
        if failed and (failed.kind, failed.reason) == ("quarantined", "undeliverable"):
            record.forget_failure()
            return self._grant(key, record, owner, lease)
        if record.failure_answers(now):
            return Start.NEGATIVE
        return Start.DONE if record.value_at(now) else Start.SUPERSEDED

    def _grant(self, key: str, record: MemoryRecord, owner: str, lease: float) -> Start:
        if record.attempts >= record.max_attempts:
            self._quarantine(key, record, "attempts_spent")
            return Start.NEGATIVE
        record.grant(owner, self._clock(), self._now(), lease)
        self._commit(key, record)
        return Start.GRANTED

    def renew(self, leases: Sequence[tuple[str, str, float]]) -> list[Write]:
        """Prolong leases, each (key, owner, seconds)."""
        with self._changed:
            return [self._renew(*lease) for lease in leases]

    def _renew(self, key: str, owner: str, lease: float) -> Write:
        _require_lease(lease)
        record = self._held(key, owner, "running")
        if isinstance(record, Write):
            return record
        record.deadline = self._now() + lease
        self._commit(key, record)
        return Write.OK

    def checkpoint(self, key: str, owner: str, reference: str) -> Write:
        """Keep the provider's reference of a call under way."""
        with self._changed:
            record = self._held(key, owner, "running")
            if isinstance(record, Write):
                return record
            record.checkpoint = reference
            return Write.OK

    def complete(self, key: str, owner: str, data: bytes, meta: bytes, soft: float, hard: float) -> Write:
        """Publish an answer and end the flight."""
        with self._changed:
            record = self._held(key, owner, "running", "queued", "idle")
            if isinstance(record, Write):
                return record
            now = self._now()
            failed = record.failed_at(now)
            if record.flight == "idle" and not (failed and failed.kind == "quarantined"):
                stored = record.value is not None and record.value.fence == record.fence
                return Write.OK if stored else Write.FENCED
            record.value = MemoryValue(data, meta, record.fence, now, now + soft, now + hard)
            record.forget_failure()
            record.payload, record.checkpoint = b"", ""
            record.flight, record.not_before = "idle", 0.0
            self._commit(key, record)
            self._wake(key)
            return Write.OK

    def fail(self, key: str, owner: str, failure: Failing) -> Reply[Write]:
        """Record why there is no answer."""
        with self._changed:
            record = self._load(key)
            if record is None:
                return Reply(Write.ABSENT, Snapshot())
            if record.owner != owner or record.flight != "running":
                failed = record.failed
                if failed and (failed.owner, failed.job) == (owner, record.job):
                    return Reply(Write.OK, told(record, self._now()))
                return Reply(Write.FENCED, Snapshot())
            self._fail(key, record, failure)
            return Reply(Write.OK, told(record, self._now()))

    def _fail(self, key: str, record: MemoryRecord, failure: Failing) -> None:
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
                failed.data, failed.meta = failure.data, failure.meta
            self._wake(key)
        record.owner = ""
        self._commit(key, record)

    def release(self, key: str, owner: str) -> Write:
        """Give a lease back before the call began."""
        with self._changed:
            record = self._held(key, owner, "running", "queued")
            if isinstance(record, Write):
                return record
            if record.flight == "running":
                record.flight, record.deadline = "queued", self._now()
                record.attempts -= 1
                self._commit(key, record)
            return Write.OK

    def invalidate(self, key: str) -> Write:
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
                yield Lost(
                    key=key,
                    job=record.job,
                    fingerprint=record.fingerprint,
                    task=record.task,
                    payload=record.payload,
                    resent=record.resent,
                    edition=record.edition,
                )

    @contextmanager
    def subscribe(self, keys: Sequence[str]) -> Iterator[MemorySubscription]:
        """Hear when a flight of one of *keys* ends."""
        yield MemorySubscription(self._changed, self._ended, frozenset(keys))

    def _now(self) -> float:
        return int(self._clock() * 1000) / 1000

    def _load(self, key: str) -> MemoryRecord | None:
        record = self._records.get(key)
        if record is not None and record.kept_until <= self._now():
            del self._records[key]
            return None
        return record

    def _held(self, key: str, owner: str, *flights: Flight) -> MemoryRecord | Write:
        """Return the record if *owner* has it in one of *flights*, else why not."""
        record = self._load(key)
        if record is None:
            return Write.ABSENT
        return record if record.owner == owner and record.flight in flights else Write.FENCED

    def _commit(self, key: str, record: MemoryRecord) -> None:
        record.keep()
        self._records[key] = record

    def _requeue(self, key: str, record: MemoryRecord) -> None:
        record.requeue(self._now())
        self._commit(key, record)

    def _quarantine(self, key: str, record: MemoryRecord, reason: str) -> None:
        record.quarantine(reason, self._now())
        self._commit(key, record)
        self._wake(key)

    def _wake(self, key: str) -> None:
        self._ended[key] = next(self._ends)
        self._changed.notify_all()


def _require_lease(lease: float) -> None:
    if lease <= 0:
        raise ValueError("a lease must be longer than 0 seconds")
