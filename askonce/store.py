"""The port to where records live: ten verbs, each one atomic and one round trip.

Every verb judges time by the store's own clock and may be replayed with the same job or owner token:
the second call answers like the first and changes nothing. Callers send durations, never times.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, Protocol, Self, TypeVar

from askonce.key import edition_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from askonce.record import Snapshot
    from askonce.spec import JobSpec

#: Records are spread over this many buckets; a bucket is one hash tag, so one slot of a cluster.
BUCKETS = 256
#: A message that was sent again this often without a start is undeliverable.
MAX_RESENDS = 5


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
    """What became of a write by a lease's owner."""

    OK = "ok"
    #: Another owner, or nobody, holds the key now; nothing was changed.
    FENCED = "fenced"
    #: The record is gone; nothing was stored, lest an old answer follow a newer one.
    ABSENT = "absent"
    #: The store did not answer while the lease lasted; said by the executor, never by a store.
    UNAVAILABLE = "unavailable"


OutcomeT = TypeVar("OutcomeT", Admission, Start, Write)


class Reply(NamedTuple, Generic[OutcomeT]):
    """A verb's decision, and the record as it was left."""

    outcome: OutcomeT
    record: Snapshot


class Claim(NamedTuple):
    """What a producer brings to ``admit``. Times in seconds."""

    key: str
    job: str
    fingerprint: str
    task: str
    #: The canonical payload, kept until the job is done: the record is the outbox.
    payload: bytes
    queue_deadline: float
    max_attempts: int
    on_mismatch: Literal["replace", "conflict"] = "replace"
    force: bool = False
    max_age: float | None = None
    #: Which version of the task asks, and for which tenant: see askonce.key.
    edition: str = "1"

    @classmethod
    def of(
        cls, spec: JobSpec, key: str, job: str, fingerprint: str, payload: bytes, tenant: str = ""
    ) -> Self:
        """Claim *key* for *job* on the terms of *spec*."""
        terms = spec.queue_deadline, spec.retry.max_attempts, spec.on_mismatch
        edition = edition_of(spec.version, tenant)
        return cls(key, job, fingerprint, spec.name, payload, *terms, edition=edition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A job that nobody holds any more, to be sent again."""

    key: str
    job: str
    fingerprint: str
    task: str
    payload: bytes
    resent: int
    edition: str = "1"


class Subscription(Protocol):
    """Wake-ups for finished jobs. A wake-up may be missed: a poll is the truth."""

    def wait(self, timeout: float) -> frozenset[str]:
        """Return the keys heard of within *timeout* seconds, possibly none."""


class Store(Protocol):
    """The ten verbs. All raise StoreUnavailable when the store does not answer in time."""

    def read(self, keys: Sequence[str]) -> list[Snapshot]:
        """Look at records; changes nothing. One round trip for all *keys*, each read atomically."""

    def admit(self, claim: Claim) -> Reply[Admission]:
        """Give the right to send a message to the first who asks; everyone else learns of that job."""

    def start(self, key: str, job: str, owner: str, fingerprint: str, lease: float) -> Reply[Start]:
        """Lease the key to *owner* for *lease* seconds, if *job* is the one admitted."""

    def renew(self, leases: Sequence[tuple[str, str, float]]) -> list[Write]:
        """Prolong leases, each (key, owner, seconds); one round trip for all, each atomic."""

    def checkpoint(self, key: str, owner: str, reference: str) -> Write:
        """Keep the provider's reference of a call under way, for whoever takes the job over."""

    def complete(self, key: str, owner: str, data: bytes, meta: bytes, soft: float, hard: float) -> Write:
        """Publish an answer, fresh for *soft* and kept for *hard* seconds, and end the flight."""

    def fail(self, key: str, owner: str, failure: Failing) -> Reply[Write]:
        """Record why there is no answer; the failure's kind decides whether the job goes on."""

    def release(self, key: str, owner: str) -> Write:
        """Give a lease back before the call began; uses no attempt."""

    def invalidate(self, key: str) -> Write:
        """Forget answer, failure and flight; a run under way is fenced."""

    def reap(self, buckets: Sequence[int], limit: int) -> list[Lost]:
        """Collect at most *limit* jobs per bucket whose time ran out; one round trip for all."""

    def subscribe(self, keys: Sequence[str]) -> AbstractContextManager[Subscription]:
        """Hear when a flight of one of *keys* ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """What a worker brings to ``fail``. Times in seconds.

    ``transient`` rests for *after* and is queued again until the attempts are spent; then it is
    ``quarantined`` for *keep*, or rests idle for *after* when *quarantine* is off. ``permanent``
    answers for *keep*. ``configuration`` and ``fallback`` reach this job's waiters for *keep* and
    answer for nobody else.
    """

    kind: Literal["transient", "permanent", "configuration", "fallback"]
    reason: str
    after: float = 0.0
    keep: float = 120.0
    quarantine: bool = True
    data: bytes = b""
    meta: bytes = b""
