"""The port to where records live: ten verbs, each one atomic and one round trip.

Every verb judges time by the store's own clock. It may be replayed with the same job or owner token: the
second call returns what the first one returned and changes nothing. Callers send durations, never times.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from askonce.announcements import Announcements
    from askonce.answer import Encoded, Ttl
    from askonce.checks import Finding
    from askonce.events import Listener
    from askonce.job import Job, Key, Owner
    from askonce.letters import Letters
    from askonce.record import Snapshot
    from askonce.spec import JobSpec


class Admission(Enum):
    """What ``admit`` decided."""

    ADMITTED = "admitted"
    #: The job in flight had run out of time: its message must be sent again, under the same job.
    RESEND = "resend"
    ATTACHED = "attached"
    HIT = "hit"
    NEGATIVE = "negative"
    BACKOFF = "backoff"
    CONFLICT = "conflict"


class Start(Enum):
    """What ``start`` decided."""

    GRANTED = "granted"
    DONE = "done"
    BUSY = "busy"
    BACKOFF = "backoff"
    SUPERSEDED = "superseded"
    NEGATIVE = "negative"
    CONFLICT = "conflict"
    ABSENT = "absent"


class Write(Enum):
    """The result of a write by a lease's owner."""

    OK = "ok"
    #: The key has another owner now, or none; nothing was changed.
    FENCED = "fenced"
    #: The record is gone; nothing was stored, or an old answer could follow a newer one.
    ABSENT = "absent"
    #: The store did not answer while the lease lasted; only the executor returns this.
    UNAVAILABLE = "unavailable"


_OutcomeT = TypeVar("_OutcomeT", Admission, Start, Write)


class Reply(NamedTuple, Generic[_OutcomeT]):
    """A verb's outcome, and the record as the verb left it."""

    outcome: _OutcomeT
    record: Snapshot
    #: The store sent the job's message in the same step.
    sent: bool = False


class Terms(NamedTuple):
    """On what conditions a job is admitted. Times in seconds."""

    queue_deadline: float
    max_attempts: int
    on_mismatch: Literal["replace", "conflict"] = "replace"
    #: Admit a new job although an answer is fresh or a failure is kept.
    force: bool = False
    #: Admit a new job when the answer is older.
    max_age: float | None = None

    @classmethod
    def of(cls, spec: JobSpec, *, force: bool = False, max_age: float | None = None) -> Self:
        """Return the terms of *spec*."""
        return cls(
            queue_deadline=spec.queue_deadline,
            max_attempts=spec.retry.max_attempts,
            on_mismatch=spec.on_mismatch,
            force=force,
            max_age=max_age,
        )


class Claim(NamedTuple):
    """What a caller brings to ``admit``. The record keeps the job's payload until the job ends."""

    job: Job
    terms: Terms


class Lease(NamedTuple):
    """One owner's timed right to run the job of a key."""

    key: Key
    owner: Owner
    seconds: float


class Lost(NamedTuple):
    """A job that no worker holds any more; its message must be sent again."""

    job: Job
    resent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """What a worker brings to ``fail``. Times in seconds.

    ``transient`` rests for *after* and is queued again until the attempts are spent; then it is
    ``quarantined``, or rests idle for *after* when *quarantine* is off. ``permanent`` answers for *keep*.
    ``configuration`` and ``fallback`` reach this job's waiters for *keep* and answer no other caller.
    """

    kind: Literal["transient", "permanent", "configuration", "fallback"]
    reason: str
    after: float = 0.0
    keep: float = 120.0
    quarantine: bool = True
    #: What the waiters of a ``fallback`` get.
    fallback: Encoded | None = None


class Subscription(Protocol):
    """Wake-ups for finished jobs. A wake-up may be missed: only the record is certain."""

    def wait(self, timeout: float) -> frozenset[Key]:
        """Return the keys whose wake-up came within *timeout* seconds, possibly none."""


class Address(NamedTuple):
    """One database of one server."""

    #: A host, or the path of a unix socket, which has port 0.
    host: str
    port: int
    database: str


class Pusher(Protocol):
    """A store's server that may be the broker too: a list on it can be a queue."""

    @property
    def address(self) -> Address:
        """The server and its database."""

    def admit_and_push(self, claim: Claim, queue: str, tag: str, template: bytes) -> Reply[Admission]:
        """Admit *claim*; if it is new, push *template*, filled, into the list *queue*."""


class Store(Protocol):
    """The ten verbs. All raise StoreUnavailable when the store does not answer in time."""

    @property
    def letters(self) -> Letters:
        """The dead letters on this store."""

    @property
    def announcements(self) -> Announcements:
        """The workers that announce themselves on this store."""

    @property
    def pusher(self) -> Pusher | None:
        """Admits and sends in one step; None where the store's server can be no broker."""

    def report_to(self, listen: Listener) -> None:
        """Emit store.down and store.up to *listen*, unless the store has a listener."""

    def read(self, keys: Sequence[Key]) -> list[Snapshot]:
        """Look at records; changes nothing. One round trip for all *keys*, each read atomically."""

    def admit(self, claim: Claim) -> Reply[Admission]:
        """Give the first caller the right to send a message; give every other caller that job."""

    def start(self, job: Job, lease: Lease) -> Reply[Start]:
        """Grant *lease* if *job* is the one admitted."""

    def renew(self, leases: Sequence[Lease]) -> list[Write]:
        """Prolong leases; one round trip for all, each atomic."""

    def checkpoint(self, lease: Lease, reference: str) -> Write:
        """Keep the provider's reference of a call under way, for the next worker of the job."""

    def complete(self, lease: Lease, answer: Encoded, ttl: Ttl) -> Write:
        """Publish *answer* and end the flight."""

    def fail(self, lease: Lease, failure: Failing) -> Reply[Write]:
        """Record why there is no answer; the failure's kind decides whether the job goes on."""

    def release(self, lease: Lease) -> Write:
        """Give a lease back before the call began; uses no attempt."""

    def invalidate(self, key: Key) -> Write:
        """Forget answer, failure and flight; a run under way is fenced."""

    def reap(self, buckets: Sequence[int], limit: int) -> list[Lost]:
        """Collect at most *limit* jobs per bucket whose time ran out; one round trip for all."""

    def subscribe(self, keys: Sequence[Key]) -> AbstractContextManager[Subscription]:
        """Wake up when a flight of one of *keys* ends."""

    def check(self) -> list[Finding]:
        """Look at what the store stands on; an unreachable server is a finding."""
