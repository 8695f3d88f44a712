"""Half two: start -> renew -> call -> complete or fail."""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass, field
from threading import Event as Signal
from typing import TYPE_CHECKING, Self

from askonce.attempt import Attempt, run
from askonce.errors import CallFailed, JobFailed, Permanent, StoreUnavailable, ValueInvalid
from askonce.events import Event, Listener, ignore
from askonce.record import Codec, Meta, Result, readable, to_result
from askonce.retry import TOLD_FOR, decide
from askonce.store import Claim, Failing, Start, Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.key import Identity
    from askonce.lease import Lease, LeaseRenewer
    from askonce.record import Answer, Snapshot
    from askonce.spec import JobSpec
    from askonce.store import Reply, Store

#: A fresh answer ends up to this part earlier, so that answers made together do not end together.
JITTER = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message as it reached a worker."""

    spec: JobSpec
    key: str
    job: str
    fingerprint: str
    #: The canonical payload; asked for only when the record is gone.
    payload: Callable[[], bytes]

    @classmethod
    def of(cls, spec: JobSpec, identity: Identity, job: str) -> Self:
        """Deliver *job* for a payload that was identified here."""
        return cls(
            spec=spec,
            key=identity.key,
            job=job,
            fingerprint=identity.fingerprint,
            payload=lambda: identity.payload,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """The end of one delivery, and the answer where there is one."""

    key: str
    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed(Executed):
    """The call was made; *stored* says what became of its answer."""

    result: Result
    stored: Write


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused(Executed):
    """The answer had been made already."""

    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped(Executed):
    """There was nothing to do for this message: somebody else has the job, or nobody wants it."""

    outcome: Start


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred(Executed):
    """The call failed and will be tried again in *after* seconds."""

    reason: str
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Executed):
    """The job ended without an answer."""

    kind: str
    reason: str
    attempts: int

    def to_error(self) -> JobFailed:
        """Return what a caller who waits is told."""
        return JobFailed(
            key=self.key, job=self.job, kind=self.kind, reason=self.reason, attempts=self.attempts
        )


Execution = Computed | Reused | Skipped | Deferred | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Runs deliveries; one for a process."""

    store: Store
    leases: LeaseRenewer
    codec: Codec = field(default_factory=Codec)
    listen: Listener = ignore
    #: Told (key, seconds) when a job should be looked at again.
    on_deferred: Callable[[str, float], None] = lambda _key, _after: None
    #: Names this process to a person who asks who has a job.
    holder: str = ""
    draw: Callable[[float, float], float] = random.uniform
    clock: Callable[[], float] = time.monotonic

    def execute(self, delivery: Delivery, body: Callable[[], object]) -> Execution:
        """Run *body* if this delivery is the one that should; store what it returns.

        Raises:
            StoreUnavailable: the store did not answer at the start; the body was not run.
        """
        owner = f"{self.holder}:{secrets.token_hex(16)}"
        reply = self._start(delivery, owner)
        if reply.outcome is not Start.GRANTED:
            return self._decline(delivery, reply)
        attempt, began = self._attempt(delivery, owner, reply.record), self.clock()
        with self.leases.hold(delivery.key, owner, delivery.spec.lease) as lease:
            try:
                answer = run(body, attempt)
                data = self._encode(delivery.spec, answer)
            except CallFailed as error:
                return self._fail(delivery, attempt, lease, error, self.clock() - began)
            return self._complete(delivery, attempt, lease, (answer, data), self.clock() - began)

    def _start(self, delivery: Delivery, owner: str) -> Reply[Start]:
        spec = delivery.spec
        reply = self.store.start(delivery.key, delivery.job, owner, delivery.fingerprint, spec.lease)
        if reply.outcome is not Start.ABSENT:
            return reply
        # The record was lost between sending and now. Admitting again, not just running, lets only
        # one of several such messages through.
        claim = Claim.of(spec, delivery.key, delivery.job, delivery.fingerprint, delivery.payload())
        self.store.admit(claim)
        return self.store.start(delivery.key, delivery.job, owner, delivery.fingerprint, spec.lease)

    def _decline(self, delivery: Delivery, reply: Reply[Start]) -> Execution:
        record, ids = reply.record, {"key": delivery.key, "job": delivery.job}
        if reply.outcome is Start.DONE and record.value is not None:
            self._tell("job.reused", delivery)
            return Reused(**ids, result=to_result(delivery.key, record.job, record.value, "cache"))
        if reply.outcome is Start.NEGATIVE and record.failure is not None:
            return self._failed(delivery, record, 0.0)
        self._tell("job.skipped", delivery, outcome=reply.outcome.value)
        return Skipped(**ids, outcome=reply.outcome)

    def _attempt(self, delivery: Delivery, owner: str, record: Snapshot) -> Attempt:
        return Attempt(
            key=delivery.key,
            job=delivery.job,
            number=record.attempts,
            fence=record.fence,
            # Not to_result: a value in a foreign codec must not cost the lease that was just granted.
            stale=readable(delivery.key, delivery.job, record.value, "stale"),
            reference=record.checkpoint,
            checkpoint=lambda reference: _ignore(self.store.checkpoint(delivery.key, owner, reference)),
        )

    def _encode(self, spec: JobSpec, answer: Answer) -> bytes:
        try:
            return self.codec.encode(answer.value, spec.max_value_bytes)
        except ValueInvalid:
            # The same payload would give the same unusable answer again, and be paid for again.
            raise Permanent("value_invalid") from None

    def _complete(
        self, delivery: Delivery, attempt: Attempt, lease: Lease, answer: tuple[Answer, bytes], seconds: float
    ) -> Execution:
        (given, data), spec = answer, delivery.spec
        meta = Meta(
            source=given.source, attempts=attempt.number, cost_usd=given.cost_usd, usage=given.usage
        ).encode()
        if given.source == "call":
            soft = spec.soft_ttl * (1 - self.draw(0.0, JITTER))
            written = self._persist(
                lease, lambda: self.store.complete(lease.key, lease.owner, data, meta, soft, spec.hard_ttl)
            )
        else:
            fallback = Failing(kind="fallback", reason=given.source, keep=TOLD_FOR, data=data, meta=meta)
            written = self._persist(lease, lambda: self.store.fail(lease.key, lease.owner, fallback).outcome)
        self._tell_completed(delivery, attempt, given, written, seconds)
        return Computed(
            key=delivery.key, job=delivery.job, result=_result(delivery, attempt, given), stored=written
        )

    def _persist(self, lease: Lease, write: Callable[[], Write]) -> Write:
        """Write a paid answer, trying again while the lease can hold: the write may be replayed."""
        give_up_at = self.clock() + lease.seconds
        while True:
            try:
                return write()
            except StoreUnavailable:
                if self.clock() >= give_up_at:
                    return Write.UNAVAILABLE
                Signal().wait(min(0.5, lease.seconds / 10))

    def _tell_completed(
        self, delivery: Delivery, attempt: Attempt, answer: Answer, written: Write, seconds: float
    ) -> None:
        data: dict[str, object] = {"attempt": attempt.number, "run_seconds": seconds}
        match written:
            case Write.OK:
                data |= {"cost_usd": answer.cost_usd, "source": answer.source}
                self._tell("job.completed", delivery, **data)
            case Write.UNAVAILABLE:
                self._tell("job.unstored", delivery, **data)
            case _:
                self._tell("job.fenced", delivery, **data)

    def _fail(
        self, delivery: Delivery, attempt: Attempt, lease: Lease, error: CallFailed, seconds: float
    ) -> Execution:
        failing = decide(delivery.spec, error, attempt.number, self.draw)
        try:
            reply = self.store.fail(lease.key, lease.owner, failing)
        except StoreUnavailable:
            # The lease ends by itself and the reaper sends the job again.
            reason, after = "store_unavailable", lease.seconds
        else:
            if reply.outcome is not Write.OK:
                self._tell("job.fenced", delivery, attempt=attempt.number, run_seconds=seconds)
                return Skipped(key=delivery.key, job=delivery.job, outcome=Start.SUPERSEDED)
            if reply.record.flight == "idle":
                return self._failed(delivery, reply.record, seconds, error)
            reason, after = error.reason, reply.record.wait
        self.on_deferred(delivery.key, after)
        data = {"reason": reason, "after_seconds": after, "run_seconds": seconds}
        self._tell("job.deferred", delivery, attempt=attempt.number, **data, **_spent(error))
        return Deferred(key=delivery.key, job=delivery.job, reason=reason, after=after)

    def _failed(
        self, delivery: Delivery, record: Snapshot, seconds: float, error: CallFailed | None = None
    ) -> Failed:
        failure = record.failure
        kind, reason = (failure.kind, failure.reason) if failure else ("unknown", "unknown")
        data = {"attempt": record.attempts, "kind": kind, "reason": reason, "run_seconds": seconds}
        self._tell("job.failed", delivery, **data, **_spent(error))
        return Failed(key=delivery.key, job=delivery.job, kind=kind, reason=reason, attempts=record.attempts)

    def _tell(self, name: str, delivery: Delivery, **data: object) -> None:
        if self.listen is ignore:
            return
        self.listen(Event(name=name, task=delivery.spec.name, key=delivery.key, job=delivery.job, data=data))


def _result(delivery: Delivery, attempt: Attempt, answer: Answer) -> Result:
    return Result(
        key=delivery.key,
        job=delivery.job,
        value=answer.value,
        source=answer.source,
        age=0.0,
        attempts=attempt.number,
        fence=attempt.fence,
        cost_usd=answer.cost_usd,
        usage=answer.usage,
        stored_at=attempt.fence / 1_000_000,
    )


def _spent(error: CallFailed | None) -> dict[str, object]:
    """What a failed call cost all the same: an answer that was paid for and could not be used."""
    data = error.data if error else {}
    return {name: data[name] for name in ("usage", "cost_usd", "maybe_billed") if data.get(name)}


def _ignore(_written: Write) -> None:
    """A checkpoint is advice: a fenced owner learns of it when it completes."""
