"""Runs jobs in this process: on the store, and without it where their tasks allow that.

Three callers use it: a worker with a message of ours, a worker with a message that something else sent, and
an inline call (``inline.py``). "The store is down" is handled here, once for all three.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from askonce.decide import Policy, admit, end_of
from askonce.decision import Refuse, Run, Serve, Wait, Why
from askonce.errors import StoreUnavailable
from askonce.execution import Computed, Failed, Reused, Skipped
from askonce.store import Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.execute import Executor
    from askonce.execution import Delivery, Execution
    from askonce.job import Job
    from askonce.store_down.calls import LocalCalls


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs deliveries on *executor*; while its store is down, on *local*."""

    executor: Executor
    local: LocalCalls

    def run(self, delivery: Delivery, body: Callable[[], object]) -> Execution:
        """Run a message of ours: its job is in the record.

        Raises:
            StoreUnavailable: the store is down, and the task or the budget forbids the call.
        """
        return self.on_store(delivery, body, lambda: self.executor.execute(delivery, body))

    def admit_and_run(self, delivery: Delivery, body: Callable[[], object]) -> Execution:
        """Run a message that something else sent: admit its job first. No caller waits for the result.

        Raises:
            StoreUnavailable: as ``run``.
        """
        return self.on_store(delivery, body, lambda: self._admit_and_execute(delivery, body))

    def on_store(
        self, delivery: Delivery, body: Callable[[], object], step: Callable[[], Execution]
    ) -> Execution:
        """Take *step*, which uses the store; while the store is down, answer *delivery* without it.

        Raises:
            StoreUnavailable: as ``run``.
        """
        try:
            executed = step()
        except StoreUnavailable as down:
            if delivery.looks:
                raise
            return self.local.run(delivery, body, down)
        if isinstance(executed, Computed | Reused) and _may_be_needed(delivery, executed):
            self.local.keep(delivery, executed.result)
        return executed

    def _admit_and_execute(self, delivery: Delivery, body: Callable[[], object]) -> Execution:
        job, executor = delivery.job, self.executor
        if delivery.drawn and (over := self._end_of_a_copy(job)) is not None:
            return over
        decision = admit(executor.store.admit, delivery.claim, Policy.RUN, executor.listen)
        match decision:
            case Serve(result=result):
                return Reused.of(job, result)
            case Run():
                return executor.execute(replace(delivery, job=job.under(decision.job)), body)
            case Refuse(why=Why.FAILED):
                return Failed.of(job, decision.failure, decision.attempts)
            case Wait() | Refuse():
                return Skipped(key=job.key, job=job.id, because=decision)
        assert_never(decision)

    def _end_of_a_copy(self, job: Job) -> Execution | None:
        """Return how *job* ended, where an earlier copy of its message was admitted; None where it did not.

        The answer may be too old by now for a new request, but this is none.
        """
        record = self.executor.store.read([job.key])[0].checked()
        if record.job != job.id or record.flight != "idle":
            return None
        match end_of(job.key, job.id, record):
            case Serve(result=result):
                return Reused.of(job, replace(result, source="cache"))
            case Refuse(why=Why.FAILED, failure=failure, attempts=attempts):
                return Failed.of(job, failure, attempts)
            case refused:
                because = refused or Refuse(why=Why.SUPERSEDED, job=job.id)
                return Skipped(key=job.key, job=job.id, because=because)


def _may_be_needed(delivery: Delivery, executed: Computed | Reused) -> bool:
    """Return whether an answer may be served while the store is down, or is not in the store.

    One that the store refused is another run's to give, or was made old by somebody.
    """
    if isinstance(executed, Computed) and executed.stored is Write.FENCED:
        return False
    return delivery.spec.on_store_down == "local" or executed.result.degraded
