"""What a caller does: serve an answer, wait for a job, run it, or refuse.

Each row of a group makes one: a NamedTuple is made in a third of the time of a frozen dataclass.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, assert_never

from askonce.bill import to_error
from askonce.errors import AnswerUnreadable, FingerprintMismatch, StoreUnavailable, Superseded
from askonce.job import JobId
from askonce.spend import Spend

if TYPE_CHECKING:
    from askonce.answer import Result
    from askonce.errors import JobError
    from askonce.job import Key
    from askonce.record import Failure, Snapshot


class Why(Enum):
    """Why a caller gets no answer and makes no call."""

    #: A kept failure answers.
    FAILED = "negative"
    #: The key rests after a failure.
    RESTS = "backoff"
    #: The key belongs to another payload.
    CONFLICT = "conflict"
    #: Another job has the key now.
    SUPERSEDED = "superseded"
    #: The record was lost again at once.
    GONE = "absent"
    #: A fresh answer is there, and this process cannot read it.
    UNREADABLE = "unreadable"
    #: The store does not answer, and the task does not allow the call without it.
    STORE_DOWN = "store_down"


class Serve(NamedTuple):
    """Return this answer; make no call."""

    result: Result


class Wait(NamedTuple):
    """An equal job is in flight: wait for its answer."""

    job: JobId
    running: bool = False
    #: Seconds until its next attempt; 0 while it is queued or running.
    rest: float = 0.0
    #: The note of the pause that holds it back.
    paused: str | None = None
    #: Its queue is paused: the message of this delivery goes back there.
    returns: bool = False
    #: The last good answer, too old to be a hit.
    stale: Result | None = None
    #: Options of this caller that the job does not take.
    ignored: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """Why a message for this job has nothing to do."""
        if self.paused is not None:
            return "paused"
        return "backoff" if self.rest > 0 else "busy"


class Run(NamedTuple):
    """The job is the caller's: send its message, or make the call."""

    job: JobId
    record: Snapshot
    #: False: an earlier caller admitted the job, and no worker holds it any more.
    new: bool = True
    #: The store sent the message already.
    sent: bool = False
    #: Seconds until the job is due: the reaper sends its message then.
    rest: float = 0.0
    stale: Result | None = None
    #: Options of this caller that the job does not take.
    ignored: tuple[str, ...] = ()
    #: The stale answer, where this caller does not wait for the job.
    meanwhile: Result | None = None


class Refuse(NamedTuple):
    """No answer and no call."""

    why: Why
    job: JobId = JobId("")
    failure: Failure | None = None
    attempts: int = 0
    #: Seconds until a call may be made again.
    rest: float = 0.0
    #: The last good answer, where the failure lets it through.
    stale: Result | None = None
    error: AnswerUnreadable | StoreUnavailable | None = None
    #: This very start ended the job: later ones find its end.
    unrun: bool = False

    @property
    def word(self) -> str:
        """Why a message for this job has nothing to do."""
        return self.why.value

    def to_error(self, key: Key) -> JobError:
        """Return the error of a caller who waits for an answer."""
        if self.error is not None:
            return self.error
        match self.why:
            case Why.CONFLICT:
                return FingerprintMismatch(key=key)
            case Why.SUPERSEDED | Why.GONE:
                return Superseded(key=key, job=self.job)
            case Why.FAILED | Why.RESTS | Why.UNREADABLE | Why.STORE_DOWN:
                kind = self.failure.kind if self.failure else "transient"
                reason = self.failure.reason if self.failure else self.why.value
                spend = self.failure.spend if self.failure else Spend()
                return to_error(key, self.job, kind, reason, attempts=self.attempts, spend=spend)
        assert_never(self.why)


Decision = Serve | Wait | Run | Refuse
