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

from askonce.errors import FingerprintMismatch, JobFailed, ResultTimeout
from askonce.execute import Computed, Deferred, Delivery, Executor, Failed, Reused, Skipped
from askonce.record import Result, to_result
from askonce.store import Admission, Claim, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.key import Identity
    from askonce.record import Snapshot
    from askonce.spec import JobSpec

#: Seconds between looks at a running job while no wake-up comes.
POLL = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Asks through *executor*, in the asker's thread."""

    executor: Executor
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
            StoreUnavailable: the store did not answer; *body* was not run.
        """
        claim = Claim.of(spec, identity.key, job or token_hex(16), identity.fingerprint, identity.payload)
        give_up_at = self.clock() + timeout
        while True:
            reply = self.executor.store.admit(claim)
            record = reply.record
            match reply.outcome:
                case Admission.HIT if record.value:
                    return to_result(claim.key, record.job, record.value, "cache")
                case Admission.NEGATIVE | Admission.BACKOFF:
                    return _stale_or_raise(claim.key, record)
                case Admission.CONFLICT:
                    raise FingerprintMismatch(key=claim.key)
            answer = self._run_or_wait(spec, identity, record, body, give_up_at)
            if answer is not None:
                return answer
            if self.clock() >= give_up_at:
                raise ResultTimeout(key=claim.key, state=record.status.value, waited_seconds=timeout)

    def _run_or_wait(
        self,
        spec: JobSpec,
        identity: Identity,
        record: Snapshot,
        body: Callable[[], object],
        give_up_at: float,
    ) -> Result | None:
        if record.flight == "running":
            self._wait(identity.key, min(POLL, give_up_at - self.clock()))
            return None
        if record.flight == "queued" and record.wait > 0:
            # The job rests after a failure; a stale answer need not.
            if record.value is not None:
                return to_result(identity.key, record.job, record.value, "stale")
            self._wait(identity.key, min(record.wait, give_up_at - self.clock()))
            return None
        return self._run(spec, identity, record, body)

    def _run(
        self, spec: JobSpec, identity: Identity, record: Snapshot, body: Callable[[], object]
    ) -> Result | None:
        # A failed call is tried again by this loop, so nobody else need look after it meanwhile.
        executor = replace(self.executor, on_deferred=lambda _key, _after: None)
        executed = executor.execute(Delivery.of(spec, identity, record.job), body)
        match executed:
            case Computed() | Reused():
                return executed.result
            case Failed(kind="transient" | "quarantined") if record.value is not None:
                return to_result(identity.key, executed.job, record.value, "stale")
            case Failed():
                raise executed.to_error()
            case Skipped(outcome=Start.CONFLICT):
                raise FingerprintMismatch(key=identity.key)
            case Skipped() | Deferred():
                return None

    def _wait(self, key: str, seconds: float) -> None:
        with self.executor.store.subscribe([key]) as subscription:
            # It may have ended before the subscription began.
            if self.executor.store.read([key])[0].flight != "idle":
                subscription.wait(max(0.0, seconds))


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
