"""What the reaper and a store tell each other of jobs that no worker holds any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Self

if TYPE_CHECKING:
    from askonce.job import Job, JobId, Key


class Lost(NamedTuple):
    """A job that no worker holds any more; its message must be sent again.

    It is handed out for a short while, and counts as resent once ``resent`` was called.
    """

    job: Job
    resent: int
    #: The time that its message carries; milliseconds by the store's clock.
    sent_at: int
    #: Whether it was put back unpaid, and its rest is over.
    parked: bool = False


class Resent(NamedTuple):
    """A message that was sent again."""

    key: Key
    job: JobId
    #: The time that it carries.
    sent_at: int


#: Stands for all priorities of a queue.
ANY_PRIORITY: Literal["*"] = "*"


class Delivered(NamedTuple):
    """How far a queue has delivered its messages of one priority.

    Either all up to a message's time (*sent_at*, milliseconds by the store's clock), or all up to *seconds*
    ago.
    """

    queue: str
    priority: int | Literal["*"] = ANY_PRIORITY
    sent_at: int = 0
    seconds: float | None = None

    def aged(self, seconds: float) -> Self:
        """Return the same, *seconds* later."""
        return self if self.seconds is None else self._replace(seconds=self.seconds + seconds)


class Budget(NamedTuple):
    """How much one look of ``reap`` at one bucket returns at most; one job always fits, unless none may."""

    jobs: int = 25
    #: Bytes of payloads.
    size: int = 1 << 20


DEFAULT_BUDGET = Budget()
