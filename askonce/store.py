"""The port to where records live: verbs, each one atomic and one round trip.

Every verb judges time by the store's own clock. It may be replayed with the same job or owner token: the
second call returns what the first one returned and changes nothing. Callers send durations, never times.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, Protocol, TypeVar

from askonce.lost import DEFAULT_BUDGET
from askonce.record import TOMBSTONE_KEPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from askonce.announcements import Announcements
    from askonce.answer import Encoded, Kept, Ttl
    from askonce.audit import Audit
    from askonce.board import Boards
    from askonce.checks import Finding
    from askonce.claim import Claim
    from askonce.controls import Controls
    from askonce.due import Due
    from askonce.errors import JobError, RecordDamaged
    from askonce.events import Listener
    from askonce.flights import Flights
    from askonce.job import Job, Key, Owner
    from askonce.letters import Letters
    from askonce.levels import Levels
    from askonce.lost import Budget, Delivered, Lost, Resent
    from askonce.record import Snapshot
    from askonce.runs import Runs
    from askonce.schedules import Schedules
    from askonce.subscription import Invalidations, Subscription
    from askonce.tally import Book, Tally


class Admission(Enum):
    """What ``admit`` decided."""

    ADMITTED = "admitted"
    #: The job in flight had run out of time: its message must be sent again, under the same job.
    RESEND = "resend"
    ATTACHED = "attached"
    HIT = "hit"
    #: The answer is stale and good enough for this caller: it is made anew, or rests after a failure.
    STALE = "stale"
    NEGATIVE = "negative"
    BACKOFF = "backoff"
    CONFLICT = "conflict"


class Cancellation(Enum):
    """What ``cancel`` decided."""

    CANCELLED = "cancelled"
    #: The call is under way and ends by itself; no other call follows it.
    RUNNING = "running"
    #: Another run enqueued the same job.
    SHARED = "shared"
    #: The job has ended already.
    IDLE = "idle"
    ABSENT = "absent"
    #: Something else, or a newer version, wrote the record: it was left alone.
    UNREADABLE = "unreadable"


class Parking(Enum):
    """What ``park`` decided."""

    PARKED = "parked"
    #: The job was parked for too long: nothing was changed.
    SPENT = "spent"
    #: It was cancelled under way: it has ended.
    CANCELLED = "cancelled"
    FENCED = "fenced"
    ABSENT = "absent"


class Renewal(Enum):
    """What ``renew`` decided."""

    OK = "ok"
    #: The lease is prolonged too; its job was cancelled, and no other call is to follow.
    CANCELLED = "cancelled"
    FENCED = "fenced"
    ABSENT = "absent"


class Start(Enum):
    """What ``start`` decided."""

    GRANTED = "granted"
    DONE = "done"
    BUSY = "busy"
    BACKOFF = "backoff"
    #: A pause holds the job back; it is sent again afterwards.
    PAUSED = "paused"
    #: A pause stops its queue: its message goes back there, and waits.
    RETURNED = "returned"
    SUPERSEDED = "superseded"
    #: The job had ended before, without an answer.
    NEGATIVE = "negative"
    #: This start ended the job: it expired, was cancelled, or its attempts are spent.
    UNRUN = "unrun"
    CONFLICT = "conflict"
    #: There is no record, and the job cannot have ended by itself: its record was lost.
    ABSENT = "absent"
    #: There is no record; the job may have ended long ago, and the message be a late copy.
    ENDED = "ended"


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
    #: Options of this caller that the job in flight does not take.
    ignored: tuple[str, ...] = ()


class Lease(NamedTuple):
    """One owner's timed right to run the job of a key."""

    key: Key
    owner: Owner
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """What a worker brings to ``fail``. Times in seconds.

    ``transient`` rests for *after* and is queued again until the attempts are spent; then it is
    ``quarantined``, or rests idle for *after* when *quarantine* is off. ``permanent`` answers for *keep*.
    ``configuration``, ``cancelled`` and ``fallback`` reach this job's waiters for *keep* and answer no other
    caller.
    """

    kind: Literal["transient", "permanent", "configuration", "cancelled", "fallback"]
    reason: str
    after: float = 0.0
    keep: float = 120.0
    quarantine: bool = True
    #: How often the job is attempted in all from now on; None for no change.
    max_attempts: int | None = None
    #: What the waiters of a ``fallback`` get.
    fallback: Encoded | None = None
    #: What the run paid; counted where it is recorded, once for each owner.
    book: Book | None = None
    #: What the job's attempts cost so far, as ``bill.encode`` writes it; kept until the job is over or new.
    spent: bytes = b""


class Place(NamedTuple):
    """How far a walk through the jobs in flight of one bucket has come."""

    bucket: int
    #: Given by the store; 0 at the start.
    cursor: int = 0


class Cancelled(NamedTuple):
    """What one step of ``cancel_run`` did: how many of the run's jobs, and where the walk goes on."""

    counts: Mapping[Cancellation, int]
    #: None at the end of the bucket.
    next: Place | None


class Address(NamedTuple):
    """One database of one server."""

    #: A host, or the path of a unix socket, which has port 0.
    host: str
    port: int
    database: str


class Push(NamedTuple):
    """A claim, and the message of a new job: a text with places to fill, and the list that it goes into."""

    claim: Claim
    queue: str
    template: bytes
    #: What monitors show of the job.
    shown: str


class Pusher(Protocol):
    """A store's server that may be the broker too: a list on it can be a queue."""

    @property
    def address(self) -> Address:
        """The server and its database."""

    def admit_and_push(self, push: Push, tag: str) -> Reply[Admission]:
        """Admit a claim; if it is new, push its message, filled, with the delivery *tag* into its list."""

    def admit_and_push_many(self, pushes: Sequence[Push]) -> Iterable[Reply[Admission] | JobError]:
        """Do the same for each of *pushes*; see ``Store.admit_many``."""


class Store(Protocol):
    """The verbs. All raise StoreUnavailable when the store does not answer in time."""

    @property
    def flights(self) -> Flights:
        """All jobs of this store, for an operator."""

    @property
    def due(self) -> Due:
        """The answers of this store, by when they go stale."""

    @property
    def letters(self) -> Letters:
        """The dead letters on this store."""

    @property
    def controls(self) -> Controls:
        """The pauses and marks of this store."""

    @property
    def tally(self) -> Tally:
        """The counters of this store."""

    @property
    def announcements(self) -> Announcements:
        """The workers that announce themselves on this store."""

    @property
    def boards(self) -> Boards:
        """The boards of this store."""

    @property
    def runs(self) -> Runs:
        """The records of the producers' runs on this store."""

    @property
    def audit(self) -> Audit:
        """What people did to the jobs of this store."""

    @property
    def schedules(self) -> Schedules:
        """What the schedule remembers of its entries."""

    @property
    def pusher(self) -> Pusher | None:
        """Admits and sends in one step; None where the store's server can be no broker."""

    def report_to(self, listen: Listener) -> None:
        """Emit what happens to servers and records to *listen*, unless the store has a listener."""

    def read(self, keys: Sequence[Key]) -> list[Snapshot]:
        """Look at records; changes nothing. One round trip for all *keys*, each read atomically.

        A record that cannot be read costs no other one its reply: its ``error`` says why.
        """

    def hit(self, job: Job, meanwhile: float = 0.0) -> Kept | None:
        """Return the answer to *job* while it is fresh, and count the hit; None leaves it to ``admit``.

        An answer that is stale for less than *meanwhile* is one too, while a living job makes it anew.
        """

    def admit(self, claim: Claim) -> Reply[Admission]:
        """Give the first caller the right to send a message; give every other caller that job."""

    def admit_many(self, claims: Sequence[Claim]) -> Iterable[Reply[Admission] | JobError]:
        """Admit each of *claims* in their order, each atomic; one round trip for all.

        The replies may come while the store works on the others. A record that cannot be used costs no other
        one its reply: its error is in that place.
        """

    def start(
        self, job: Job, lease: Lease, kept: float = TOMBSTONE_KEPT, *, returns: bool = False
    ) -> Reply[Start]:
        """Grant *lease* if *job* is the one admitted.

        A record lasts at least *kept* seconds after its job ended. *returns* says that the caller has the
        job's message, and gives it back to its queue if that is paused.
        """

    def renew(self, leases: Sequence[Lease]) -> list[Renewal]:
        """Prolong leases, and learn which jobs were cancelled; one round trip for all, each atomic."""

    def checkpoint(self, lease: Lease, reference: str) -> Write:
        """Keep the provider's reference of a call under way, for the next worker of the job."""

    def complete(
        self,
        lease: Lease,
        answer: Encoded,
        ttl: Ttl,
        book: Book | None = None,
        *,
        keep_payload: bool = False,
        begun_for: float = 0.0,
    ) -> Write:
        """Publish *answer* and end the flight; count what *book* says, also where the answer is refused.

        With *keep_payload*, the record keeps the job's payload as long as the answer. *begun_for* are the
        seconds since the call began, where that was before its lease.
        """

    def put(self, job: Job, answer: Encoded, ttl: Ttl) -> bool:
        """Keep *answer*, which no run gives, in place of what the record had; the last one wins.

        A run under way is fenced. False where a pause holds for *job*: the one before stays.
        """

    def fail(self, lease: Lease, failure: Failing) -> Reply[Write]:
        """Record why there is no answer; the failure's kind decides whether the job goes on."""

    def park(self, lease: Lease, reason: str, after: float, within: float, spent: bytes = b"") -> Parking:
        """Give a lease back before anything was paid; the job starts again in *after* seconds.

        It uses no attempt. *spent* replaces what the attempts cost so far, as in ``Failing``. A job that has
        been parked for *within* seconds in a row is spent. A pause ends the row.
        """

    def cancel(self, key: Key, run: str | None = None) -> Cancellation:
        """End a queued job unpaid; with *run*, only if no other run shares it.

        A call under way ends by itself. Its answer is kept; where it gives none and another call would
        follow, the job ends as cancelled. A caller who asks for the job meanwhile undoes that.
        """

    def cancel_many(self, keys: Sequence[Key], run: str | None = None) -> list[Cancellation]:
        """Do the same for each of *keys*; one round trip for all, each atomic."""

    def cancel_run(self, run: str, places: Sequence[Place]) -> list[Cancelled]:
        """Do the same for the jobs of *run* among some jobs in flight after each place.

        One round trip for all places. A walk to the end of a bucket meets each job that is in flight from
        its start to its end.
        """

    def invalidate(self, key: Key, *, expire: bool = False) -> Write:
        """Forget answer, failure and flight; a run under way is fenced.

        With *expire*, the answer stays, as a stale one, and a job in flight goes on: what a run gives that
        has begun already is stale too.
        """

    def reap(
        self, buckets: Sequence[int], delivered: Sequence[Delivered] = (), budget: Budget = DEFAULT_BUDGET
    ) -> list[Lost | RecordDamaged]:
        """Hand out jobs that no worker will start by itself any more, at most *budget* for each bucket.

        A queued job is lost when its deadline is over and its queue has *delivered* what was sent after it.
        A damaged record is returned in its place, and looked at again later. One round trip for all.
        """

    def resent(self, sent: Sequence[Resent]) -> list[Write]:
        """Count messages that were sent again; one round trip for all, each atomic."""

    def subscribe(self, keys: Sequence[Key]) -> AbstractContextManager[Subscription]:
        """Wake up when a flight of one of *keys* ends."""

    def invalidations(self) -> AbstractContextManager[Invalidations]:
        """Hear which answers are invalidated from now on."""

    def levels(self) -> Levels:
        """Return what the store holds now, without its records: a few round trips, however many there are."""

    def used_queues(self) -> Mapping[str, float]:
        """Return the queues that jobs were enqueued for or workers took, each with how many seconds ago."""

    def check(self) -> list[Finding]:
        """Look at what the store stands on; an unreachable server is a finding."""
