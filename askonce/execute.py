"""Half two: start -> renew -> call -> complete or fail."""

from __future__ import annotations

import random
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from threading import Event as Signal
from typing import TYPE_CHECKING, assert_never

from askonce.answer import Codec, Result
from askonce.attempt import Attempt, Unstorable, calling_job, costs_of, make
from askonce.decide import start
from askonce.decision import Refuse, Run, Serve, Wait, Why
from askonce.errors import CallFailed, Configuration, JobError, Postponed, Transient
from askonce.events import EventType, Listener, emit, ignore
from askonce.execution import (
    Computed,
    Deferred,
    Delivery,
    Execution,
    Failed,
    Reused,
    Skipped,
    report_done,
    wait_of,
)
from askonce.freshness import last_good_answer
from askonce.job import new_owner
from askonce.lease import since_boot
from askonce.record import FLIGHT_KEPT, REASON_KEPT_FOR
from askonce.retry import failing, parked_within, rest_unpaid
from askonce.spend import Spend
from askonce.started import Started
from askonce.store import Failing, Lease, Parking, Write
from askonce.store_down.spill import Spill, Unstored
from askonce.tally import book_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.answer import Ttl
    from askonce.attempt import Made
    from askonce.job import Job
    from askonce.lease import Held, LeaseRenewer
    from askonce.store import Store

#: ``soft_ttl`` is shortened by up to this part at random: answers stored together do not become stale
#: together.
_JITTER = 0.1
#: Why a job is given back whose process stood still past its lease.
_STALLED = "stalled"


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
    clock: Callable[[], float] = since_boot

    def execute(self, delivery: Delivery, body: Callable[[], object]) -> Execution:
        """Run *body* if this delivery is the one that should; store what it returns.

        Raises:
            StoreUnavailable: the store did not answer at the start; the body was not run.
        """
        with ExitStack() as held:
            begun = self.begin(delivery, held)
            return self.finish(begun, body) if isinstance(begun, Started) else begun

    def begin(self, delivery: Delivery, held: ExitStack) -> Started | Execution:
        """Start the job; its lease is renewed until *held* is closed. ``finish`` is next, if it has started.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        asked_at = self.clock()
        lease = Lease(delivery.job.key, new_owner(self.holder), delivery.spec.lease)
        decision = start(
            self.store, delivery.spec, delivery.job, lease, self.listen, returns=delivery.returns
        )
        match decision:
            case Run():
                attempt = self._attempt(delivery, held.enter_context(self.leases.hold(lease)), decision)
                parked = decision.record.parked.seconds if decision.record.parked else None
                waited = wait_of(delivery.job, decision.record.now)
                run = Started(delivery, lease, attempt, self.clock(), parked, waited)
                # The lease began after *asked_at*, so it can be over only if this time is longer.
                if run.began - asked_at >= lease.seconds:
                    return self._give_back(run, Postponed(_STALLED), 0.0, FLIGHT_KEPT)
                return run
            case Serve(result=result):
                return Reused.of(delivery.job, result)
            case Refuse(why=Why.FAILED):
                ended = Failed.of(delivery.job, decision.failure, decision.attempts, decision.stale)
                if decision.unrun:
                    why = {"reason": ended.reason, "attempts": ended.attempts}
                    report_done(self.listen, delivery.job, ended.kind, **why)
                return ended
            case Wait() | Refuse():
                return Skipped(key=delivery.job.key, job=delivery.job.id, because=decision)
        assert_never(decision)

    def _attempt(self, delivery: Delivery, held: Held, granted: Run) -> Attempt:
        return Attempt(
            key=delivery.job.key,
            job=delivery.job.id,
            number=granted.record.attempts,
            fence=granted.record.fence,
            stale=granted.stale,
            reference=granted.record.checkpoint,
            checkpoint=lambda reference: self._checkpoint(held.lease, reference),
            tenant=delivery.job.tenant,
            run=delivery.job.run,
            spent=granted.record.spent,
            called_by=calling_job(),
            is_cancelled=lambda: held.cancelled,
        )

    def _checkpoint(self, lease: Lease, reference: str) -> None:
        """Keep *reference* if that is possible: a store or a record that fails must not cost a paid call."""
        with suppress(JobError):
            self.store.checkpoint(lease, reference)

    def _give_back(self, run: Started, why: Postponed, after: float, within: float) -> Execution:
        """Return a lease before anything was paid: the job uses no attempt, and others may run it."""
        reason, cost = why.reason, run.cost_until(why)
        try:
            parked = self.store.park(run.lease, reason, after, within, run.given_back(cost))
        except JobError:
            # The lease ends by itself, and the reaper sends the job's message again.
            return self._deferred(run, "store_unavailable", run.lease.seconds, Spend())
        match parked:
            case Parking.PARKED:
                return self._parked(run, reason, after)
            case Parking.SPENT:
                ends_as = Configuration if why.ends_as == "configuration" else Transient
                return self._fail(run, ends_as(why.data))
            case Parking.CANCELLED:
                return self._cancelled(run, cost)
            case Parking.FENCED | Parking.ABSENT:
                emit(self.listen, EventType.JOB_SKIPPED, run.job, outcome=Why.SUPERSEDED.value)
                return self._overtaken(run.job)
        assert_never(parked)

    def finish(self, run: Started, body: Callable[[], object]) -> Execution:
        """Run *body* under the lease of *run*; store what it returns."""
        limit = run.delivery.spec.max_value_bytes
        try:
            made = make(body, run.attempt, codec=self.codec, max_bytes=limit, clock=self.clock)
        except Postponed as postponed:
            within = parked_within(run.delivery.spec, postponed)
            after = rest_unpaid(postponed, within - run.parked_until(self.clock()))
            return self._give_back(run, postponed, after, within)
        except CallFailed as error:
            return self._fail(run, error)
        except BaseException as stop:
            # The process or the thread ends: its lease must not wait for its own end. The call may have been
            # paid, so it counts as an attempt.
            with suppress(Exception):
                self._fail(run, Transient(type(stop).__name__, maybe_billed=True))
            raise
        return self._complete(run, made)

    def _complete(self, run: Started, made: Made) -> Computed:
        self._report_unknown(run.job, made.costs.unknown)
        if made.refused_ttl:
            emit(self.listen, EventType.ANSWER_TTL_REFUSED, run.job, ttl=made.refused_ttl)
        ttl = made.lives(run.delivery.spec, self.draw(0.0, _JITTER))
        written, unkept = self._persist(run, made, ttl)
        self._report(run, made, written)
        if unkept:
            emit(self.listen, EventType.JOB_UNKEPT, run.job, reason=unkept)
        result = _result(run, made, ttl)
        if written in (Write.UNAVAILABLE, Write.ABSENT):
            result = replace(result, degraded=True)
        return Computed(key=run.job.key, job=run.job.id, result=result, stored=written)

    def _unstored(self, run: Started, made: Made, ttl: Ttl) -> Unstored:
        """Return the write of an answer. It keeps the encoded answer only: the spill may hold it for long."""
        is_answer, encoded = made.source == "call", made.encoded
        write = self._write_of_answer(run, made, ttl) if is_answer else self._write_of_fallback(run, made)
        return Unstored(job=run.job, size=len(encoded.data) + len(encoded.meta), write=write)

    def _write_of_answer(self, run: Started, made: Made, ttl: Ttl) -> Callable[[], Write]:
        lease, encoded, made_at = run.lease, made.encoded, made.made_at
        book, keeps = book_of(run.job, made.costs.paid), run.delivery.spec.keep_payload and made.keep
        # Its times to live began when it was made.
        return lambda: self.store.complete(
            lease, encoded, ttl.after(self.clock() - made_at), book, keep_payload=keeps
        )

    def _write_of_fallback(self, run: Started, made: Made) -> Callable[[], Write]:
        ended = Failing(kind="fallback", reason=made.source, keep=REASON_KEPT_FOR, fallback=made.encoded)
        lease, fallback = run.lease, run.booked(ended, made.costs)
        return lambda: self.store.fail(lease, fallback).outcome

    def _persist(self, run: Started, made: Made, ttl: Ttl) -> tuple[Write, str]:
        """Store a paid answer, or leave it to the spill; while that is full, try as long as a lease.

        Return also why no process keeps the answer, where that is so.
        """
        answer, lease = self._unstored(run, made, ttl), run.lease
        give_up_at = self.clock() + lease.seconds
        while True:
            try:
                return answer.write(), ""
            except JobError:
                # The store does not answer, or its record is damaged or of a newer version.
                if self.spill.keep(answer.compacted()):
                    return Write.UNAVAILABLE, ""
                if self.clock() >= give_up_at:
                    return Write.UNAVAILABLE, "no_room"
            except Exception as error:  # noqa: BLE001  # a mistake of this package: the answer is paid
                # Another run would be paid for, and meet the same mistake.
                with suppress(Exception):
                    self.store.fail(lease, self._unstorable(run, made))
                return Write.UNAVAILABLE, type(error).__name__
            except BaseException:
                # The process ends while it stores a paid answer; at its end it drains the spill.
                self.spill.keep(answer.compacted())
                raise
            Signal().wait(min(0.5, lease.seconds / 10))

    @staticmethod
    def _unstorable(run: Started, made: Made) -> Failing:
        keep = run.delivery.spec.failure_ttl
        return run.booked(Failing(kind="permanent", reason="unstored", keep=keep), made.costs)

    def _report(self, run: Started, made: Made, written: Write) -> None:
        ran, cost = run.ran_until(made.made_at), {"cost_usd": made.costs.paid.known.get("cost_usd")}
        match written:
            case Write.OK:
                emit(self.listen, EventType.JOB_COMPLETED, run.job, **ran, **cost, source=made.source)
                outcome = "done"
            case Write.UNAVAILABLE:
                emit(self.listen, EventType.JOB_UNSTORED, run.job, **ran, **cost)
                outcome = "unstored"
            case Write.FENCED | Write.ABSENT:
                # No end of its job: another run has the key, or somebody has invalidated it.
                emit(self.listen, EventType.JOB_FENCED, run.job, **ran, **cost, **run.requests)
                return
            case _:
                assert_never(written)
        kept = _kept(run, made) if outcome == "done" else {}
        end = {"source": made.source, "reason": made.reason, **run.ended_at(made.made_at), **kept}
        report_done(self.listen, run.job, outcome, made.costs.paid, **end)

    def _report_unknown(self, job: Job, unknown: tuple[str, ...]) -> None:
        for name in unknown:
            emit(self.listen, EventType.JOB_SPEND_UNKNOWN, job, field=name)

    def _fail(self, run: Started, error: CallFailed) -> Execution:
        job, ran = run.job, run.ran_until(self.clock())
        cost = costs_of(error, run.attempt)
        spend = cost.paid
        self._report_unknown(job, cost.unknown)
        failure = run.booked(failing(run.delivery.spec, error, run.attempt.number, self.draw), cost)
        try:
            reply = self.store.fail(run.lease, failure)
        except JobError:
            # Where it cannot be kept: the lease ends by itself, and the reaper sends the job's message again.
            if not self.spill.keep(self._unstored_failure(run, failure).compacted()):
                emit(self.listen, EventType.JOB_UNKEPT, job, reason="no_room")
            return self._deferred(run, "store_unavailable", run.lease.seconds, spend)
        if reply.outcome is not Write.OK:
            why = {"reason": error.reason, **run.requests}
            emit(self.listen, EventType.JOB_FENCED, job, **ran, **why, **spend.known)
            return self._overtaken(job)
        record = reply.record
        if record.flight != "idle":
            return self._deferred(run, error.reason, record.wait, spend)
        # Of now: what was there when the call began may have been removed since.
        stale = last_good_answer(job.key, job.id, record)
        ended = Failed.of(job, record.failure, record.attempts, stale)
        why = {"kind": ended.kind, "reason": ended.reason}
        if isinstance(error, Unstorable):
            why |= {"field": error.field, "value_type": error.value_type}
        emit(self.listen, EventType.JOB_FAILED, job, **ran, **why, **spend.known)
        report_done(self.listen, job, ended.kind, spend, reason=ended.reason, **run.ended_at(self.clock()))
        return ended

    def _unstored_failure(self, run: Started, failure: Failing) -> Unstored:
        lease, failed_at = run.lease, self.clock()

        def write() -> Write:
            # The rest began when the call failed.
            after = max(0.0, failure.after - (self.clock() - failed_at))
            return self.store.fail(lease, replace(failure, after=after)).outcome

        size = len(failure.reason) + len(failure.spent)
        return Unstored(job=run.job, size=size, write=write)

    def _deferred(self, run: Started, reason: str, after: float, spend: Spend) -> Deferred:
        job, rest = run.job, {"reason": reason, "after_seconds": after}
        self.on_deferred(job.key, after)
        ran = run.ran_until(self.clock()) | run.requests
        emit(self.listen, EventType.JOB_DEFERRED, job, **rest, **ran, **spend.known)
        return Deferred(key=job.key, job=job.id, reason=reason, after=after)

    def _parked(self, run: Started, reason: str, after: float) -> Deferred:
        self.on_deferred(run.job.key, after)
        # A process that stood still is news; thousands of jobs may wait for one provider.
        kind = EventType.JOB_DEFERRED if reason == _STALLED else EventType.JOB_PARKED
        emit(self.listen, kind, run.job, reason=reason, after_seconds=after)
        return Deferred(key=run.job.key, job=run.job.id, reason=reason, after=after, parked=True)

    def _cancelled(self, run: Started, cost: Spend) -> Failed:
        """Report the end of a job that was cancelled while its lease was held, and then given back."""
        job, number, why = run.job, run.attempt.number, {"kind": "cancelled", "reason": "cancelled"}
        now = self.clock()
        emit(self.listen, EventType.JOB_FAILED, job, **run.ran_until(now), **why)
        report_done(self.listen, job, "cancelled", reason="cancelled", **run.ended_at(now))
        # The lease that was given back uses no attempt.
        ended = Failed(key=job.key, job=job.id, kind="cancelled", reason="cancelled", attempts=number - 1)
        return replace(ended, spend=cost)

    def _overtaken(self, job: Job) -> Skipped:
        return Skipped(key=job.key, job=job.id, because=Refuse(why=Why.SUPERSEDED, job=job.id))


def _kept(run: Started, made: Made) -> dict[str, object]:
    """Return how large a stored answer is, and for how long it is fresh; no later caller gets a fallback."""
    if made.source != "call":
        return {}
    return {"size": len(made.encoded.data), "ttl_seconds": made.lives(run.delivery.spec, 0.0).fresh}


def _result(run: Started, made: Made, ttl: Ttl) -> Result:
    fence = run.attempt.fence
    return Result(
        key=run.job.key,
        job=run.job.id,
        value=made.value,
        source=made.source,
        age=0.0,
        attempts=run.attempt.number,
        fence=fence,
        spend=made.costs.made,
        stored_at=fence / 1_000_000,
        reason=made.reason,
        fresh_for=ttl.fresh if made.source == "call" and made.keep else 0.0,
    )
