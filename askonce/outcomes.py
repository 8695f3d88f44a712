"""What ``enqueue`` returns. A duplicate is an outcome, never an error and never None."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, assert_never

from askonce.bill import to_error
from askonce.decision import Refuse, Run, Serve, Wait, Why
from askonce.errors import AnswerUnreadable, FingerprintMismatch
from askonce.job import JobId
from askonce.spend import Spend

if TYPE_CHECKING:
    from askonce.answer import Result
    from askonce.decision import Decision
    from askonce.errors import JobFailed
    from askonce.handle import Handle
    from askonce.job import Key
    from askonce.join import Join
    from askonce.record import Failure, FailureOrFallback


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """Every outcome has the key, and the job whose answer the caller gets."""

    key: Key
    job: JobId
    #: The store did not answer, so its outcome is unknown.
    degraded: bool = field(default=False, kw_only=True)

    def result(self, timeout: float, *, fresh_within: float | None = None) -> Result:
        """Return the answer, or raise why there is none; a job under way has *timeout* seconds."""
        raise NotImplementedError

    async def aresult(self, timeout: float, *, fresh_within: float | None = None) -> Result:
        """Do as ``result`` does, on the running loop of asyncio."""
        return self.result(timeout, fresh_within=fresh_within)


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnderWay(Enqueued):
    handle: Handle
    #: The last good answer, too old to be a hit.
    stale: Result | None = None

    def result(self, timeout: float, *, fresh_within: float | None = None) -> Result:
        """Wait at most *timeout* seconds; options and errors as Handle.result."""
        return self.handle.result(timeout, fresh_within=fresh_within)

    async def aresult(self, timeout: float, *, fresh_within: float | None = None) -> Result:
        """Wait at most *timeout* seconds; options and errors as Handle.result."""
        return await self.handle.aresult(timeout, fresh_within=fresh_within)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted(_UnderWay):
    """A new job was made and its message sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached(_UnderWay):
    """An equal job is in flight; this caller gets its answer too."""

    #: Options of this caller that the job does not take, such as ``queue``.
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate(Enqueued):
    """An equal job is in flight, and the caller passed ``on_duplicate="reject"``."""

    def result(self, timeout: float, *, fresh_within: float | None = None) -> Result:
        """Raise JobFailed: there is nothing to wait for."""
        raise _failed(self, "duplicate", "duplicate", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(Enqueued):
    """An answer was in the record: fresh, or stale and good enough for this caller.

    ``answer.source`` is then ``cache`` or ``stale``. A stale one is made anew by *job* meanwhile, or its key
    rests after a failure.
    """

    answer: Result

    def result(self, timeout: float, *, fresh_within: float | None = None) -> Result:
        """Return the answer."""
        return self.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable(Enqueued):
    """A fresh answer is in the record, and this process cannot read it or join it to the caller's row.

    The codec is not installed in this process, or the task's ``present`` failed.
    """

    error: AnswerUnreadable

    def result(self, timeout: float, *, fresh_within: float | None = None) -> Result:
        """Raise AnswerUnreadable."""
        raise self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative(Enqueued):
    """The call is known not to succeed for this payload, for now."""

    failure: Failure
    attempts: int
    #: The last good answer, where the attempts are spent; never where the failure is permanent.
    stale: Result | None = None

    def result(self, timeout: float, *, fresh_within: float | None = None) -> Result:
        """Return the stale answer, or raise JobFailed with the kept reason."""
        if self.stale is not None:
            return self.stale
        raise _failed(self, self.failure.kind, self.failure.reason, self.failure, self.attempts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff(Enqueued):
    """The key rests after failures; enqueue again after *wait* seconds."""

    wait: float
    failure: Failure | None = None
    stale: Result | None = None

    def result(self, timeout: float, *, fresh_within: float | None = None) -> Result:
        """Return the stale answer, or raise JobFailed with the last reason."""
        if self.stale is not None:
            return self.stale
        reason = self.failure.reason if self.failure else "backoff"
        raise _failed(self, "transient", reason, self.failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict(Enqueued):
    """The key belongs to another payload; nothing of it is disclosed, so there is no job id."""

    job: JobId = field(default=JobId(""), init=False)

    def result(self, timeout: float, *, fresh_within: float | None = None) -> Result:
        """Raise FingerprintMismatch."""
        raise FingerprintMismatch(key=self.key)


Outcome = Admitted | Attached | Duplicate | Hit | Unreadable | Negative | Backoff | Conflict


def _failed(
    outcome: Enqueued,
    kind: FailureOrFallback | Literal["duplicate"],
    reason: str,
    failure: Failure | None,
    attempts: int = 0,
) -> JobFailed:
    spend = failure.spend if failure else Spend()
    return to_error(outcome.key, outcome.job, kind, reason, attempts=attempts, spend=spend)


def joined(decision: Decision, join: Join) -> Decision:
    """Join the answers of *decision* to the caller's own row."""
    match decision:
        case Serve(result=result):
            try:
                return Serve(result=join(result))
            except AnswerUnreadable as error:
                return Refuse(why=Why.UNREADABLE, job=result.job, error=error)
        case Run(stale=stale) if decision.meanwhile is not None and stale is not None:
            whole = _joined_stale(stale, join)
            return decision._replace(stale=whole, meanwhile=whole)
        case Wait(stale=stale) | Run(stale=stale) | Refuse(stale=stale):
            return decision if stale is None else decision._replace(stale=_joined_stale(stale, join))
    assert_never(decision)


def _joined_stale(stale: Result, join: Join) -> Result | None:
    try:
        return join(stale)
    except AnswerUnreadable:
        # The caller is no worse off than without one.
        return None


def refused(key: Key, decision: Refuse) -> Outcome:
    """Return the outcome of a caller who gets neither an answer nor a job.

    Raises:
        JobError: no caller of ``enqueue`` is refused for this reason.
    """
    job, failure, stale = decision.job, decision.failure, decision.stale
    match decision.why:
        case Why.FAILED if failure is not None:
            return Negative(key=key, job=job, failure=failure, attempts=decision.attempts, stale=stale)
        case Why.RESTS:
            return Backoff(key=key, job=job, wait=decision.rest, failure=failure, stale=stale)
        case Why.CONFLICT:
            return Conflict(key=key)
        case Why.UNREADABLE if isinstance(decision.error, AnswerUnreadable):
            return Unreadable(key=key, job=job, error=decision.error)
        case Why.FAILED | Why.UNREADABLE | Why.SUPERSEDED | Why.GONE | Why.STORE_DOWN:
            # No reply of ``admit`` means one of these.
            raise decision.to_error(key)
    assert_never(decision.why)
