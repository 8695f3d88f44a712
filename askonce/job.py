"""One job: the call that equal payloads share, under one key and one id.

Claims, messages, deliveries, lost jobs and dead letters carry the same Job; no module copies its fields.
"""

from __future__ import annotations

from secrets import token_hex
from typing import NamedTuple, NewType, Self

#: SHA-256 over task, version, tenant and identity; 64 hexadecimal digits.
Key = NewType("Key", str)
#: One generation of a key: drawn at random, and kept until the job ends, however often its message is sent.
JobId = NewType("JobId", str)
#: SHA-256 over the payload; 64 hexadecimal digits.
Fingerprint = NewType("Fingerprint", str)
#: The token of one run. It authorises writes, so only ``read`` returns it.
Owner = NewType("Owner", str)
#: Random bytes of a job's id.
_ID_BYTES = 16


def new_job_id() -> JobId:
    """Draw the id of a new job."""
    return JobId(token_hex(_ID_BYTES))


def new_job_ids(count: int) -> list[JobId]:
    """Draw the ids of *count* new jobs at once: most of a drawing is the call of the system."""
    drawn = token_hex(_ID_BYTES * count)
    return [JobId(drawn[at : at + 2 * _ID_BYTES]) for at in range(0, len(drawn), 2 * _ID_BYTES)]


def new_owner(holder: str) -> Owner:
    """Draw the token of one run; *holder* names its process to an operator."""
    return Owner(f"{holder}:{token_hex(16)}")


class Routing(NamedTuple):
    """How the messages of a job travel; every message of a job has the same."""

    queue: str = ""
    #: The broker's own number; None where the caller gave none.
    priority: int | None = None
    #: Seconds, as Celery's ``time_limit`` and ``soft_time_limit``; None is the task's own.
    time_limit: float | None = None
    soft_time_limit: float | None = None
    #: A JSON object of extra message headers; empty for none.
    headers: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether its messages are as every other of their task, in whichever queue."""
        return self[2:] == (None, None, "")

    @property
    def limits(self) -> str:
        """Both limits in one word, empty where the task's own hold."""
        if self.time_limit is None and self.soft_time_limit is None:
            return ""
        return f"{self.time_limit or ''},{self.soft_time_limit or ''}"


#: A caller leaves everything to the task.
NO_CHOICE = Routing()

#: How the tasks of cached functions begin, and of values that are kept by keys of one's own.
FUNCTIONS, VALUES = "fn.", "kv."
#: Fields of a payload that monitors and logs may show, with their values: ``JobSpec.shown``.
Shown = tuple[tuple[str, str | int], ...]


class Job(NamedTuple):
    """A payload of one task, with its key; ``askonce.key.identify`` makes one.

    Each call of a producer changes some: ``_replace`` would take twice as long as its methods.
    """

    key: Key
    id: JobId
    fingerprint: Fingerprint
    task: str
    #: The canonical JSON object.
    payload: bytes
    #: The task's version and the caller's tenant: both are part of the key.
    version: str = "1"
    tenant: str = ""
    #: The model that its calls go to, for counters and pauses; empty where there is none.
    model: str = ""
    #: The batch that enqueued it first.
    run: str = ""
    routing: Routing = NO_CHOICE
    #: When it was admitted: milliseconds by the store's clock, 0 where that is unknown. Messages carry it.
    admitted_at: int = 0
    #: What may be shown of the payload. A store does not keep it: ``askonce.key.with_shown`` finds it again.
    shown: Shown = ()
    #: Answers of one tag can be invalidated together.
    tags: tuple[str, ...] = ()

    def under(self, job_id: JobId) -> Self:
        """Return the same job under *job_id*."""
        return type(self)(self.key, job_id, *self[2:])

    def sent_by(self, routing: Routing) -> Self:
        """Return the same job with this *routing*."""
        return type(self)(*self[:9], routing, *self[10:])


def is_of_callers(job: Job) -> bool:
    """Return whether *job* is a cached function's or a value's: it has no message, and its task no worker.

    Its process was killed, if it is lost. Whoever asks next makes the call.
    """
    return not job.routing.queue and is_function(job.task)


def is_function(task: str) -> bool:
    """Return whether the records of *task* are a cached function's, or those of values of one's own."""
    return task.startswith((FUNCTIONS, VALUES))
