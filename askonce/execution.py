"""What a worker gets, and every end that one delivery can have."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

from askonce.bill import to_error
from askonce.claim import Claim, Terms
from askonce.events import EventType, emit
from askonce.spend import NOTHING, Spend

if TYPE_CHECKING:
    from askonce.answer import Result
    from askonce.decision import Refuse, Wait
    from askonce.errors import JobFailed
    from askonce.events import Listener
    from askonce.job import Job, JobId, Key
    from askonce.record import Failure, FailureOrFallback
    from askonce.spec import JobSpec
    from askonce.store import Write


#: Milliseconds, a year: no job waits for longer.
_LONGEST_WAIT: Final = 31_622_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message as it reached a worker: its job, and the terms of its task."""

    spec: JobSpec
    job: Job
    #: On what conditions the worker admits the job, where its sender did not: the task's own by default.
    terms: Terms | None = None
    #: Whether the message can go back to its queue.
    returns: bool = False
    #: Whether the job's id was drawn for this one request; where its sender did not admit it.
    drawn: bool = False

    @property
    def claim(self) -> Claim:
        """What the worker brings to ``admit``."""
        return Claim(self.job, self.terms or Terms.of(self.spec))

    @property
    def looks(self) -> bool:
        """Whether the record itself decides: nothing else can say how old an answer is, or who asks too."""
        terms = self.terms
        return terms is not None and (terms.force or terms.max_age is not None or terms.reject)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """The end of one delivery, and the answer where there is one."""

    key: Key
    job: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed(Executed):
    """The call was made; *stored* is what the store replied to its answer."""

    result: Result
    stored: Write


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused(Executed):
    """The answer was there already."""

    result: Result
    #: What this job caused of its cost: nothing where another job made it.
    spend: Spend = NOTHING

    @classmethod
    def of(cls, job: Job, result: Result) -> Self:
        """Return the end of one more message of *job*."""
        return cls(key=job.key, job=job.id, result=result, spend=_caused_by(job, result))


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped(Executed):
    """The message had nothing to do: another worker has the job, or the job is over."""

    because: Wait | Refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred(Executed):
    """The call failed and will be made again in *after* seconds."""

    reason: str
    after: float
    #: Whether it was put back before anything was paid, which uses no attempt.
    parked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Executed):
    """The job ended without an answer."""

    kind: FailureOrFallback
    reason: str
    attempts: int
    #: What all attempts of the job cost.
    spend: Spend = field(default_factory=Spend)
    #: The last good answer as the store had it at this end, where the failure lets it through.
    stale: Result | None = None

    @classmethod
    def of(cls, job: Job, failure: Failure | None, attempts: int, stale: Result | None = None) -> Self:
        """Return the end of *job* by *failure*, which is unknown where the store did not return it."""
        kind = failure.kind if failure else "transient"
        reason = failure.reason if failure else "unknown"
        spend = failure.spend if failure else Spend()
        end = cls(key=job.key, job=job.id, kind=kind, reason=reason, attempts=attempts, spend=spend)
        return end if stale is None else replace(end, stale=stale)

    def to_error(self) -> JobFailed:
        """Return the error of a caller who waits."""
        return to_error(self.key, self.job, self.kind, self.reason, attempts=self.attempts, spend=self.spend)


def wait_of(job: Job, now: int) -> float | None:
    """Return the seconds from the admission of *job* to *now*, milliseconds by the store's clock too.

    The message carries the first time, which may be any number: a wait that cannot be is unknown.
    """
    waited = now - job.admitted_at
    return waited / 1000 if job.admitted_at > 0 and 0 <= waited <= _LONGEST_WAIT else None


def _caused_by(job: Job, result: Result) -> Spend:
    """Return what *job* caused of the cost of *result*.

    After a failure its record still has the answer of the job before: the fence, the time at which that one's
    run began, is before the admission of this job. What was made without the store has no fence.
    """
    is_older = not result.degraded and result.fence < job.admitted_at * 1000
    return NOTHING if result.job != job.id or is_older else result.spend.own


def report_done(listen: Listener, job: Job, outcome: str, spend: Spend = NOTHING, /, **data: object) -> None:
    """Emit the end of *job*, by the process that ended it; *spend* is what this run paid."""
    cost = {"cost_usd": spend.known.get("cost_usd"), "tokens": spend.tokens} if spend.calls else {}
    emit(listen, EventType.JOB_DONE, job, outcome=outcome, **data, **cost, ids=job.shown)


Execution = Computed | Reused | Skipped | Deferred | Failed
