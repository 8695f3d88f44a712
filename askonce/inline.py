"""Calls inline: the call is made in this thread unless another worker is making it.

Used for look-ups inside a task body, for web requests, and for messages whose own task id a caller waits for.
An inline call never waits for a job that waits for a worker; it runs that job itself. Threads that wait for
each other's queued jobs would fill all slots and stand still.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from math import inf
from threading import Event as Signal
from typing import TYPE_CHECKING, assert_never

from askonce.answer import Result
from askonce.claim import Terms
from askonce.decide import Policy, admit, end_of
from askonce.decision import Refuse, Run, Serve, Wait, Why
from askonce.errors import FingerprintMismatch, JobFailed, ResultTimeout
from askonce.events import ignore
from askonce.execution import Computed, Deferred, Delivery, Failed, Reused, Skipped
from askonce.freshness import is_within
from askonce.join import join_to
from askonce.record import PAUSED, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.claim import Claim
    from askonce.decision import Decision
    from askonce.execution import Execution
    from askonce.job import Job, JobId, Key, Routing
    from askonce.runner import Runner
    from askonce.spec import JobSpec

#: Seconds between looks at a running job while no wake-up comes.
POLL = 1.0
#: How a job ends that no worker shall run.
_UNRUN = frozenset({"expired", "cancelled"})
#: Seconds before the record is looked at again after a run that had nothing to do.
_PAUSE = 0.05


class Resting(Exception):
    """The job rests for longer than its caller holds its slot."""

    def __init__(self, after: float) -> None:
        """Name the seconds after which the job may run."""
        super().__init__(f"the job rests for {after:.1f} s")
        self.after = after


def _as_it_is(job: Job, _row: Mapping[str, object] | None) -> Routing:
    return job.routing


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Calls jobs through *runner*, in the caller's own thread."""

    runner: Runner
    #: Returns where the messages of a job go, given its caller's row too. A job without a queue is never
    #: found, if its process dies before the start: no worker reports how far that queue was delivered.
    route: Callable[[Job, Mapping[str, object] | None], Routing] = _as_it_is
    clock: Callable[[], float] = time.monotonic
    #: Whether a stale answer is good enough when the call fails or rests after failures.
    serve_stale: bool = True

    def call(
        self,
        spec: JobSpec,
        job: Job,
        body: Callable[[], object],
        *,
        timeout: float,
        row: Mapping[str, object] | None = None,
        terms: Terms | None = None,
        admitted: bool = False,
        longest_rest: float = inf,
    ) -> Result:
        """Return the answer to *job*, from the store, from a running job or from *body*.

        A stale answer is served when the call fails or rests after failures, unless the caller wants none.
        *timeout* in seconds bounds the waiting, not *body* itself. The answer is joined to *row*, the payload
        as the caller gave it; without a row it is as the record keeps it. *terms* are those of the spec by
        default.

        With *admitted*, a message of this job came: a job that ended unrun is not made again.

        Raises:
            JobFailed: there is no answer, or the terms refuse an equal job in flight.
            FingerprintMismatch: the key belongs to another payload.
            AnswerUnreadable: the kept answer is in a codec that is not installed here, or cannot be joined.
            ResultTimeout: another worker's run took longer.
            StoreUnavailable: the store is down, and the task or the budget forbids the call.
            Resting: the job rests for more than *longest_rest* seconds.
        """
        if not job.routing.queue:
            job = job._replace(routing=self.route(job, row))
        delivery = Delivery(spec=spec, job=job, terms=terms)
        executed = self.runner.on_store(
            delivery, body, lambda: self._call(delivery, body, timeout, longest_rest, admitted=admitted)
        )
        match executed:
            case Computed(result=result) | Reused(result=result):
                return join_to(spec, row)(result)
            case Failed():
                raise executed.to_error()
            case Skipped() | Deferred():
                raise AssertionError("an inline call goes on until its job has ended")
        assert_never(executed)

    def _call(
        self,
        delivery: Delivery,
        body: Callable[[], object],
        timeout: float,
        longest_rest: float,
        *,
        admitted: bool,
    ) -> Execution:
        ended = self._run_admitted(delivery, body) if admitted else None
        return ended or self._admit_and_wait(delivery, body, timeout, longest_rest)

    def _run_admitted(self, delivery: Delivery, body: Callable[[], object]) -> Execution | None:
        """Run a job that its message names; None where the record must say how the call goes on."""
        executed = self._execute(delivery, body)
        match executed:
            case Computed() | Reused():
                return executed
            case Failed(kind=kind):
                return executed if kind in _UNRUN else None
            case Skipped():
                return self._ended_unrun(delivery.job)
            case Deferred():
                return None
        assert_never(executed)

    def _ended_unrun(self, job: Job) -> Failed | None:
        record = self.runner.executor.store.read([job.key])[0].checked()
        failure = record.failure
        if failure is None or failure.job != job.id or failure.kind not in _UNRUN:
            return None
        return Failed.of(job, failure, record.attempts)

    def _execute(self, delivery: Delivery, body: Callable[[], object]) -> Execution:
        # A failed call is made again by this call's own loop: the reaper need not look sooner.
        executor = replace(self.runner.executor, on_deferred=lambda _key, _after: None)
        return executor.execute(delivery, body)

    def _admit_and_wait(
        self, delivery: Delivery, body: Callable[[], object], timeout: float, longest_rest: float
    ) -> Execution:
        key, job_id, executor = delivery.job.key, delivery.job.id, self.runner.executor
        claim = self._claim(delivery)
        listen, give_up_at = executor.listen, self.clock() + timeout
        while True:
            decision = self._with_its_stale(admit(executor.store.admit, claim, Policy.RUN, listen))
            _refuse_duplicate(claim, decision)
            # The first decision of a call is its event. What the call then waits for is new enough.
            _require_patience(decision, longest_rest)
            listen, claim = ignore, claim._replace(terms=_later(claim.terms, delivery.spec))
            if (answer := _answer_of(decision, key)) is not None:
                return Reused(key=key, job=job_id, result=answer)
            match decision:
                case Run():
                    executed = self._run(delivery, decision.job, body, claim.terms.stale_if_error)
                    if executed is not None:
                        return executed
                    Signal().wait(min(_PAUSE, max(0.0, give_up_at - self.clock())))
                case Wait(job=waited_for, rest=rest):
                    ended = self._wait(key, waited_for, rest or POLL, give_up_at)
                    answer = _answer_of(self._with_its_stale(ended), key) if ended is not None else None
                    if answer is not None:
                        return Reused(key=key, job=job_id, result=answer)
            if self.clock() >= give_up_at:
                raise ResultTimeout(key=key, state=_state_of(decision), waited_seconds=timeout)

    def _claim(self, delivery: Delivery) -> Claim:
        claim = delivery.claim
        if self.serve_stale:
            return claim
        return claim._replace(terms=claim.terms._replace(stale_while_revalidate=0.0))

    def _with_its_stale(self, decision: Decision) -> Decision:
        """Return *decision*, without a stale answer that this caller does not want."""
        return decision if self.serve_stale or isinstance(decision, Serve) else decision._replace(stale=None)

    def _run(
        self, delivery: Delivery, job: JobId, body: Callable[[], object], if_error: float | None
    ) -> Execution | None:
        """Run *job* here; None when the call should look at the record again."""
        executed = self._execute(replace(delivery, job=delivery.job.under(job)), body)
        match executed:
            case Failed(stale=Result() as stale) if self.serve_stale and is_within(stale.stale_for, if_error):
                return Reused(key=executed.key, job=executed.job, result=stale)
            case Skipped(because=Refuse(why=Why.CONFLICT)):
                raise FingerprintMismatch(key=executed.key)
            case Skipped() | Deferred():
                return None
            case Computed() | Reused() | Failed():
                return executed
        assert_never(executed)

    def _wait(self, key: Key, job: JobId, rest: float, give_up_at: float) -> Serve | Refuse | None:
        """Wait for *job*, *rest* seconds at most; return its end where that came.

        A job that was cancelled under way is waited for to its end: who asks for it again wants it to go on.
        """
        store = self.runner.executor.store
        with store.subscribe([key]) as subscription:
            # The job may have ended before the subscription began.
            record = store.read([key])[0].checked()
            while record.flight != "idle":
                subscription.wait(max(0.0, min(rest, give_up_at - self.clock())))
                record = store.read([key])[0].checked()
                if not record.is_cancelled or self.clock() >= give_up_at:
                    break
        return end_of(key, job, record)


def _later(terms: Terms, spec: JobSpec) -> Terms:
    """Return the terms of a call's later looks: what came since it began is new enough."""
    return Terms.of(spec)._replace(stale_while_revalidate=0.0, stale_if_error=terms.stale_if_error)


def _refuse_duplicate(claim: Claim, decision: Decision) -> None:
    """End a call whose terms refuse an equal job in flight.

    Raises:
        JobFailed: there is one, and it is not the call's own.
    """
    if claim.terms.reject and isinstance(decision, Wait | Run) and decision.job != claim.job.id:
        key, kind = claim.job.key, "duplicate"
        raise JobFailed(key=key, job=decision.job, kind=kind, reason=kind, attempts=0)


def _require_patience(decision: Decision, longest_rest: float) -> None:
    """End a call whose job rests, without an answer that may be served meanwhile, for too long.

    Raises:
        Resting: it rests for more than *longest_rest* seconds, or a pause holds it back.
    """
    if not isinstance(decision, Wait) or decision.stale is not None:
        return
    if decision.rest > longest_rest:
        raise Resting(decision.rest)
    if decision.paused is not None and not decision.running and longest_rest < inf:
        # How long a pause lasts is known to nobody.
        raise Resting(longest_rest)


def _answer_of(decision: Decision, key: Key) -> Result | None:
    """Return the answer that is there; None where the call waits or runs.

    Raises:
        JobError: no answer may be served, and no call may be made.
    """
    match decision:
        case Serve(result=result):
            return result
        case Refuse(stale=stale):
            if stale is None:
                raise decision.to_error(key)
            return stale
        case Wait(stale=stale, rest=rest):
            # The job rests after a failure: its last good answer need not.
            return stale if rest > 0 else None
        case Run():
            return None
    assert_never(decision)


def _state_of(decision: Decision) -> str:
    """Return how far the job was at the last look."""
    match decision:
        case Wait(running=True):
            return Status.RUNNING.value
        case Wait(paused=str()):
            return PAUSED
        case Wait() | Run():
            return Status.QUEUED.value
        case Serve() | Refuse():
            return Status.ABSENT.value
    assert_never(decision)
