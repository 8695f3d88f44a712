"""Half two: start -> renew -> call -> complete or fail."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Event as Signal
from typing import TYPE_CHECKING, assert_never

from askonce.answer import Codec, Result, Ttl
from askonce.attempt import Attempt, make
from askonce.decide import Refuse, Run, Serve, Wait, Why, start
from askonce.errors import CallFailed, StoreUnavailable
from askonce.events import EventType, Listener, emit, ignore
from askonce.execution import Computed, Deferred, Delivery, Execution, Failed, Reused, Skipped
from askonce.job import new_owner
from askonce.record import REASON_KEPT_FOR
from askonce.retry import failing
from askonce.store import Failing, Lease, Write
from askonce.store_down.spill import Spill, Unstored
from askonce.tally import book_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.attempt import Made
    from askonce.lease import LeaseRenewer
    from askonce.store import Store

#: ``soft_ttl`` is shortened by up to this part at random: answers stored together do not become stale
#: together.
_JITTER = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Executes deliveries on the store; one for a process."""

    store: Store
    leases: LeaseRenewer
    codec: Codec = field(default_factory=Codec)
    #: Takes over paid answers that could not be stored.
    spill: Spill = field(default_factory=Spill)
    listen: Listener = ignore
    #: Called with a key and the seconds after which the reaper should look at it.
    on_deferred: Callable[[str, float], None] = lambda _key, _after: None
    #: Names this process to an operator who looks for the owner of a job.
    holder: str = ""
    draw: Callable[[float, float], float] = random.uniform
    clock: Callable[[], float] = time.monotonic

    def execute(self, delivery: Delivery, body: Callable[[], object]) -> Execution:
        """Run *body* if this delivery is the one that should; store what it returns.

        Raises:
            StoreUnavailable: the store did not answer at the start; the body was not run.
        """
        lease = Lease(delivery.job.key, new_owner(self.holder), delivery.spec.lease)
        decision = start(self.store, delivery.spec, delivery.job, lease, self.listen)
        match decision:
            case Run():
                return self._run(delivery, lease, self._attempt(delivery, lease, decision), body)
            case Serve(result=result):
                return Reused(key=delivery.job.key, job=delivery.job.id, result=result)
            case Refuse(why=Why.FAILED):
                return Failed.of(delivery.job, decision.failure, decision.attempts)
            case Wait() | Refuse():
                return Skipped(key=delivery.job.key, job=delivery.job.id, because=decision)
        assert_never(decision)

    def _attempt(self, delivery: Delivery, lease: Lease, granted: Run) -> Attempt:
        return Attempt(
            key=delivery.job.key,
            job=delivery.job.id,
            number=granted.record.attempts,
            fence=granted.record.fence,
            stale=granted.stale,
            reference=granted.record.checkpoint,
            checkpoint=lambda reference: self._checkpoint(lease, reference),
        )

    def _checkpoint(self, lease: Lease, reference: str) -> None:
        """Keep *reference* if that is possible: a store that is down must not cost a paid call."""
        with suppress(StoreUnavailable):
            self.store.checkpoint(lease, reference)

    def _run(
        self,
        delivery: Delivery,
        lease: Lease,
        attempt: Attempt,
        body: Callable[[], object],
    ) -> Execution:
        began = self.clock()
        with self.leases.hold(lease):
            try:
                made = make(
                    body,
                    attempt,
                    codec=self.codec,
                    max_bytes=delivery.spec.max_value_bytes,
                    clock=self.clock,
                )
            except CallFailed as error:
                return self._fail(delivery, lease, attempt, error, self.clock() - began)
            return self._complete(delivery, lease, attempt, made, made.made_at - began)

    def _complete(
        self, delivery: Delivery, lease: Lease, attempt: Attempt, made: Made, seconds: float
    ) -> Computed:
        soft = delivery.spec.soft_ttl * (1 - self.draw(0.0, _JITTER))
        written = self._persist(
            Unstored(
                job=delivery.job,
                size=len(made.encoded.data),
                write=lambda: self._write(delivery, lease, made, soft),
            ),
            lease.seconds,
        )
        self._report(delivery, attempt, made, written, seconds)
        result = _result(delivery, attempt, made)
        if written in (Write.UNAVAILABLE, Write.ABSENT):
            result = replace(result, degraded=True)
        return Computed(key=delivery.job.key, job=delivery.job.id, result=result, stored=written)

    def _write(self, delivery: Delivery, lease: Lease, made: Made, soft: float) -> Write:
        """Store an answer once; its times to live began when it was made."""
        book = book_of(delivery.job, made.paid)
        if made.answer.source != "call":
            fallback = Failing(
                kind="fallback",
                reason=made.answer.source,
                keep=REASON_KEPT_FOR,
                fallback=made.encoded,
                book=book,
            )
            return self.store.fail(lease, fallback).outcome
        ttl = Ttl(soft, delivery.spec.hard_ttl).after(self.clock() - made.made_at)
        return self.store.complete(lease, made.encoded, ttl, book)

    def _persist(self, answer: Unstored, seconds: float) -> Write:
        """Store a paid answer, or leave it to the spill; while that is full, try for *seconds*."""
        give_up_at = self.clock() + seconds
        while True:
            try:
                return answer.write()
            except StoreUnavailable:
                if self.spill.keep(answer) or self.clock() >= give_up_at:
                    return Write.UNAVAILABLE
                Signal().wait(min(0.5, seconds / 10))

    def _report(
        self, delivery: Delivery, attempt: Attempt, made: Made, written: Write, seconds: float
    ) -> None:
        ran = {"attempt": attempt.number, "run_seconds": seconds}
        cost = {"cost_usd": made.paid.cost_usd}
        match written:
            case Write.OK:
                emit(
                    self.listen,
                    EventType.JOB_COMPLETED,
                    delivery.job,
                    **ran,
                    **cost,
                    source=made.answer.source,
                )
            case Write.UNAVAILABLE:
                emit(self.listen, EventType.JOB_UNSTORED, delivery.job, **ran, **cost)
            case Write.FENCED | Write.ABSENT:
                emit(self.listen, EventType.JOB_FENCED, delivery.job, **ran, **cost)
            case _:
                assert_never(written)

    def _fail(
        self, delivery: Delivery, lease: Lease, attempt: Attempt, error: CallFailed, seconds: float
    ) -> Execution:
        job = delivery.job
        ran: dict[str, object] = {"attempt": attempt.number, "run_seconds": seconds}
        try:
            reply = self.store.fail(lease, failing(delivery, error, attempt.number, self.draw))
        except StoreUnavailable:
            # The lease ends by itself, and the reaper sends the job's message again.
            return self._deferred(delivery, "store_unavailable", lease.seconds, ran, error)
        if reply.outcome is not Write.OK:
            emit(self.listen, EventType.JOB_FENCED, job, **ran, **error.spent)
            return Skipped(key=job.key, job=job.id, because=Refuse(why=Why.SUPERSEDED, job=job.id))
        record = reply.record
        if record.flight != "idle":
            return self._deferred(delivery, error.reason, record.wait, ran, error)
        ended = Failed.of(job, record.failure, record.attempts)
        named = {"kind": ended.kind, "reason": ended.reason}
        emit(self.listen, EventType.JOB_FAILED, job, **ran, **named, **error.spent)
        return ended

    def _deferred(
        self, delivery: Delivery, reason: str, after: float, ran: dict[str, object], error: CallFailed
    ) -> Deferred:
        job = delivery.job
        self.on_deferred(job.key, after)
        rest = {"reason": reason, "after_seconds": after}
        emit(self.listen, EventType.JOB_DEFERRED, job, **rest, **ran, **error.spent)
        return Deferred(key=job.key, job=job.id, reason=reason, after=after)


def _result(delivery: Delivery, attempt: Attempt, made: Made) -> Result:
    return Result(
        key=delivery.job.key,
        job=delivery.job.id,
        value=made.answer.value,
        source=made.answer.source,
        age=0.0,
        attempts=attempt.number,
        fence=attempt.fence,
        spend=made.spend,
        stored_at=attempt.fence / 1_000_000,
    )
