"""What a caller brings to a store: a job, and on what conditions it is admitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Self

if TYPE_CHECKING:
    from askonce.job import Job
    from askonce.spec import JobSpec


class Terms(NamedTuple):
    """On what conditions a job is admitted. Times in seconds."""

    queue_deadline: float
    max_attempts: int
    on_mismatch: Literal["replace", "conflict"] = "replace"
    #: Admit a new job although an answer is fresh or a failure is kept.
    force: bool = False
    #: Admit a new job although a failure is kept or the key rests; a fresh answer is still served.
    retry: bool = False
    #: Admit a new job when the answer is older.
    max_age: float | None = None
    #: A job that is queued for longer ends without an answer.
    expires: float | None = None
    #: The job starts no sooner.
    countdown: float = 0.0
    #: What of its routing the caller chose itself; ``priority>`` where a higher number is more urgent.
    chosen: tuple[str, ...] = ()
    #: Change nothing of an equal job in flight.
    reject: bool = False
    #: For how long an answer that is too old is good enough while a job makes it anew.
    stale_while_revalidate: float = 0.0
    #: For how long a stale answer is good enough when the call fails; None: while it is kept.
    stale_if_error: float | None = None

    @classmethod
    def of(cls, spec: JobSpec, *, force: bool = False, max_age: float | None = None) -> Self:
        """Return the terms of *spec*.

        A caller who says how old its answer may be is served no older one meanwhile.
        """
        says_so = force or max_age is not None
        return cls(
            queue_deadline=spec.queue_deadline,
            max_attempts=spec.retry.max_attempts,
            on_mismatch=spec.on_mismatch,
            force=force,
            max_age=max_age,
            stale_while_revalidate=0.0 if says_so else spec.stale_while_revalidate,
            stale_if_error=spec.stale_if_error,
        )


class Claim(NamedTuple):
    """What a caller brings to ``admit``. The record keeps the job's payload until the job ends."""

    job: Job
    terms: Terms
