"""Asks and answers in this thread: the call is made here unless somebody else is making it.

For look-ups inside a task body, for web requests, and for messages whose own task id is waited for.
It never waits for a job that only waits for a worker, but runs that job itself: threads that wait for
each other's queued jobs would fill all slots and stand still.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import TYPE_CHECKING

from askonce.errors import FingerprintMismatch, JobFailed, ResultTimeout, StoreUnavailable
from askonce.execution import Computed, Deferred, Delivery, Failed, Reused, Skipped
from askonce.record import Result, to_result
from askonce.store import Admission, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.execute import Executor
    from askonce.key import Identity
    from askonce.record import Snapshot
    from askonce.spec import JobSpec
    from askonce.store_down.calls import LocalCalls

#: Seconds between looks at a running job while no wake-up comes.
POLL = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Asks through *executor*, in the asker's thread; through *local* while its store is down."""

    executor: Executor
    local: LocalCalls
    clock: Callable[[], float] = time.monotonic

    def call(
        self,
        spec: JobSpec,
        identity: Identity,
        body: Callable[[], object],
        *,
        timeout: float,
        job: str | None = None,
    ) -> Result:
        """Return the answer to *identity*, from the store, from a running job or from *body*.

        A stale answer is served when the call fails or rests after failures. *timeout* in seconds
        bounds the waiting, not *body* itself.

        Raises:
            JobFailed: there is no answer.
            FingerprintMismatch: the key belongs to another payload.
            ResultTimeout: somebody else's run took longer.
            StoreUnavailable: the store did not answer, and the spec or the budget forbids a call without it.
        """
        delivery = Delivery.of(spec, identity, job or token_hex(16))
        try:
            answer = self._ask(delivery, body, timeout)
        except StoreUnavailable as down:
            return _result_of(self.local.instead(delivery, body, down))
        self.local.keep(delivery, answer)
        return answer

    def _ask(self, delivery: Delivery, body: Callable[[], object], timeout: float) -> Result:
        key, claim = delivery.key, delivery.to_claim()
        give_up_at = self.clock() + timeout
        while True:
            reply = self.executor.store.admit(claim)
            record = reply.record
            match reply.outcome:
                case Admission.HIT if record.value:
                    return to_result(key, record.job, record.value, "cache")
                case Admission.NEGATIVE | Admission.BACKOFF:
                    return _stale_or_raise(key, record)
                case Admission.CONFLICT:
                    raise FingerprintMismatch(key=key)
            answer = self._run_or_wait(replace(delivery, job=record.job), record, body, give_up_at)
            if answer is not None:
                return answer
            if self.clock() >= give_up_at:
                raise ResultTimeout(key=key, state=record.status.value, waited_seconds=timeout)

    def _run_or_wait(
        self, delivery: Delivery, record: Snapshot, body: Callable[[], object], give_up_at: float
    ) -> Result | None:
        key = delivery.key
        if record.flight == "running":
            self._wait(key, min(POLL, give_up_at - self.clock()))
            return None
        if record.flight == "queued" and record.wait > 0:
            # The job rests after a failure; a stale answer need not.
            if record.value is not None:
                return to_result(key, record.job, record.value, "stale")
            self._wait(key, min(record.wait, give_up_at - self.clock()))
            return None
        return self._run(delivery, record, body)

    def _run(self, delivery: Delivery, record: Snapshot, body: Callable[[], object]) -> Result | None:
        # A failed call is tried again by this loop, so nobody else need look after it meanwhile.
        executor = replace(self.executor, on_deferred=lambda _key, _after: None)
        executed = executor.execute(delivery, body)
        match executed:
            case Failed(kind="transient" | "quarantined") if record.value is not None:
                return to_result(delivery.key, executed.job, record.value, "stale")
            case Skipped(outcome=Start.CONFLICT):
                raise FingerprintMismatch(key=delivery.key)
            case Skipped() | Deferred():
                return None
        return _result_of(executed)

    def _wait(self, key: str, seconds: float) -> None:
        with self.executor.store.subscribe([key]) as subscription:
            # It may have ended before the subscription began.
            if self.executor.store.read([key])[0].flight != "idle":
                subscription.wait(max(0.0, seconds))


def _result_of(executed: Computed | Reused | Failed) -> Result:
    if isinstance(executed, Failed):
        raise executed.to_error()
    return executed.result


def _stale_or_raise(key: str, record: Snapshot) -> Result:
    # A permanent failure says that the old answer is wrong too; the other kinds only that none came.
    permanent = record.failure is not None and record.failure.kind == "permanent"
    if record.value is not None and not permanent:
        return to_result(key, record.job, record.value, "stale")
    raise _failed(key, record)


def _failed(key: str, record: Snapshot) -> JobFailed:
    failure = record.failure
    return JobFailed(
        key=key,
        job=record.job,
        kind=failure.kind if failure else "transient",
        reason=failure.reason if failure else "backoff",
        attempts=record.attempts,
    )
