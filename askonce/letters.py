"""The port to dead letters: jobs whose attempts are spent, and messages that no worker can use.

A quarantined job leaves the list when it is admitted again, when it is discarded, or after a week. A dead
message is kept as it was, within bounds, so that an operator can send it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from askonce.job import Fingerprint, Job, JobId
from askonce.spend import Spend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.job import Key

#: So many dead messages are kept, the newest; older ones make room.
MESSAGES_KEPT = 1000
#: Seconds for which dead messages are kept after the newest one came.
MESSAGES_KEPT_FOR = 604_800.0
#: Bytes of a message that are kept; a longer one is cut, and cannot be sent again.
BODY_KEPT = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadJob:
    """A quarantined job. Times in seconds since 1970, by the store's clock."""

    #: Its payload is empty where it was not requested.
    job: Job
    reason: str
    attempts: int
    #: One word for each attempt that failed or was lost, the last eight, and what ended the job.
    history: tuple[str, ...]
    #: 0 where the record cannot be read.
    since: float
    until: float
    #: What all its attempts cost; unknown where that of one is.
    spend: Spend = field(default_factory=Spend)

    @classmethod
    def unreadable(cls, key: Key, reason: str) -> Self:
        """Return a job of whose record only the key is known."""
        job = Job(key=key, id=JobId(""), fingerprint=Fingerprint(""), task="", payload=b"")
        return cls(job=job, reason=reason, attempts=0, history=(), since=0.0, until=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadMessage:
    """A message that no worker could use, as it was in the queue."""

    #: A short stable word: ``undecodable``, ``unknown_task``, ``invalid_task``,
    #: ``invalid_payload``, ``invalid_option``, ``identity_mismatch``, ``link_refused``, ``garbage``.
    reason: str
    task: str = ""
    #: The message's own id.
    job: str = ""
    #: The queue that it was taken from.
    queue: str = ""
    #: JSON object of its headers, content type and encoding.
    about: bytes = b"{}"
    body: bytes = b""
    #: Bytes of its body before it was cut.
    size: int = 0
    #: Given by the store: when it was kept, in milliseconds since 1970, and a number.
    id: str = ""

    @property
    def whole(self) -> bool:
        """Whether it can be sent again."""
        return len(self.body) == self.size


class Letters(Protocol):
    """The dead letters of one store. All raise StoreUnavailable as the verbs do."""

    def dead_jobs(self) -> list[tuple[Key, float]]:
        """Return (key, kept until) of every quarantined job, the oldest first; one round trip."""

    def show(self, keys: Sequence[Key], *, payload: bool = False) -> list[DeadJob | None]:
        """Return quarantined jobs; None for a key that is not. One round trip.

        The reason of a job whose record cannot be read is ``record_damaged`` or ``layout_newer``.
        """

    def keep(self, message: DeadMessage) -> None:
        """Keep *message*, cut to BODY_KEPT."""

    def dead_messages(self) -> list[DeadMessage]:
        """Return every dead message, the oldest first."""

    def drop(self, ids: Sequence[str]) -> int:
        """Forget dead messages; return how many were there."""
