"""Keeps records on Redis (6.2 or newer) or Valkey, also a cluster; each verb is a script and a round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from askonce.adapters.redis.announcements import RedisAnnouncements
from askonce.adapters.redis.audit import RedisAudit
from askonce.adapters.redis.boards import RedisBoards
from askonce.adapters.redis.checks import check_server, no_answer
from askonce.adapters.redis.claims import arguments, milliseconds, to_admission, to_admission_or_error
from askonce.adapters.redis.controls import RedisControls
from askonce.adapters.redis.due import RedisDue
from askonce.adapters.redis.flights import RedisFlights
from askonce.adapters.redis.invalidations import invalidations
from askonce.adapters.redis.letters import RedisLetters
from askonce.adapters.redis.levels import read_levels
from askonce.adapters.redis.link import Link, ServerLink
from askonce.adapters.redis.pusher import RedisPusher
from askonce.adapters.redis.reply import DAMAGE, Brought, read, to_full_snapshot, to_lost
from askonce.adapters.redis.runs import RedisRuns
from askonce.adapters.redis.schedules import RedisSchedules
from askonce.adapters.redis.scripts import Scripts
from askonce.adapters.redis.servers import connect, place_of
from askonce.adapters.redis.subscription import listening
from askonce.adapters.redis.tally import RedisTally
from askonce.adapters.redis.used_queues import RedisUsedQueues
from askonce.answer import Kept
from askonce.checks import Finding
from askonce.errors import JobError, RecordDamaged, StoreUnavailable
from askonce.events import EventType, Subject, emit, ignore
from askonce.job import JobId, Key
from askonce.lost import DEFAULT_BUDGET, Budget
from askonce.record import TOMBSTONE_KEPT
from askonce.store import Cancellation, Cancelled, Parking, Renewal, Reply, Start, Write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from askonce.adapters.redis.invalidations import RedisInvalidations
    from askonce.adapters.redis.scripts import Call
    from askonce.adapters.redis.subscription import RedisSubscription
    from askonce.answer import Encoded, Ttl
    from askonce.claim import Claim
    from askonce.events import Listener
    from askonce.job import Job
    from askonce.levels import Levels
    from askonce.lost import Delivered, Lost, Resent
    from askonce.record import Snapshot
    from askonce.store import Admission, Failing, Lease, Place
    from askonce.tally import Book

#: Short enough that a hanging server costs a caller less than a second, the one replay included. redis-py's
#: own retries, which block for a minute, are off. A busy thread needs one connection.
CLIENT_OPTIONS: dict[str, Any] = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), 0.3)
CLIENT_OPTIONS["max_connections"] = 1000

# Looked up by the bytes of the reply: calling the enum would decode and search.
_STARTS = {outcome.value.encode(): outcome for outcome in Start}
_WRITES = {outcome.value.encode(): outcome for outcome in Write}
_RENEWALS = {outcome.value.encode(): outcome for outcome in Renewal}
_PARKINGS = {outcome.value.encode(): outcome for outcome in Parking}
#: In the order of ``cancel_run.lua``.
_COUNTED = Cancellation.CANCELLED, Cancellation.RUNNING, Cancellation.SHARED, Cancellation.UNREADABLE
_CANCELLATIONS = {outcome.value.encode(): outcome for outcome in Cancellation}


class RedisStore:
    """The store on one Redis or Valkey server, or on a cluster of them."""

    def __init__(
        self,
        servers: Redis | Link,
        *,
        namespace: str,
        clock: str | None = None,
        listen: Listener | None = None,
    ) -> None:
        """Use the connections of *servers*; *namespace* separates applications that share them.

        *listen* gets what happens to servers and records; without one, an AskOnce gives its own listener.
        """
        self._link: Link = ServerLink(servers) if isinstance(servers, Redis) else servers
        self._has_listener, self._listen = listen is not None, listen or ignore
        if listen is not None:
            self._link.report_to(listen)
        self._scripts = Scripts(self._link, namespace=namespace, clock=clock)
        self.flights = RedisFlights(self._scripts)
        self.due = RedisDue(self._scripts)
        self.letters = RedisLetters(self._scripts)
        self.controls = RedisControls(self._scripts)
        self.tally = RedisTally(self._scripts)
        self._used_queues = RedisUsedQueues(self._scripts)
        self.announcements = RedisAnnouncements(self._scripts, self._used_queues)
        self.boards = RedisBoards(self._scripts)
        self.runs = RedisRuns(self._scripts)
        self.audit = RedisAudit(self._scripts)
        self.schedules = RedisSchedules(self._scripts)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        namespace: str,
        listen: Listener | None = None,
        tls: Mapping[str, str] | None = None,
    ) -> Self:
        """Connect lazily to *url*, such as ``redis://127.0.0.1:6379/0`` or ``unix:///path?db=0``.

        See ``servers.py`` for other URLs. *tls* are redis-py's ``ssl_`` options, for a URL with TLS.

        Raises:
            ValueError: the URL cannot be read.
        """
        return cls(connect(url, {**CLIENT_OPTIONS, **(tls or {})}), namespace=namespace, listen=listen)

    @property
    def pusher(self) -> RedisPusher | None:
        """Admits and sends in one step; None where the records are not on one server at a fixed place."""
        address = self._link.address
        return RedisPusher(self._scripts, address, self._used_queues) if address else None

    def report_to(self, listen: Listener) -> None:
        """Emit what happens to servers and records to *listen*, unless the store has a listener."""
        if not self._has_listener:
            self._has_listener, self._listen = True, listen
            self._link.report_to(listen)

    def __repr__(self) -> str:
        # The client's own repr would show the password.
        return f"RedisStore({self._scripts.prefix[1:-1]})"

    def read(self, keys: Sequence[Key]) -> list[Snapshot]:
        """Look at records; changes nothing."""
        replies = self._scripts.run_on_each("read", [(key, ()) for key in keys])
        return [to_full_snapshot(key, reply) for key, reply in zip(keys, replies, strict=True)]

    def hit(self, job: Job, meanwhile: float = 0.0) -> Kept | None:
        """Return the answer to *job* while it is fresh or made anew, and count the hit."""
        args = job.fingerprint, job.task, job.tenant, job.model, milliseconds(meanwhile)
        reply = self._scripts.run("hit", job.key, *args)
        return None if reply is None else _to_kept(job.key, reply)

    def admit(self, claim: Claim) -> Reply[Admission]:
        """Give the first caller the right to send a message; give every other caller that job."""
        key = claim.job.key
        due = self._used_queues.due((claim.job.routing.queue,))
        reply = self._scripts.run("admit", key, *arguments(claim), along=self._used_queues.note(due))
        self._used_queues.noted(due)
        return to_admission(key, reply)

    def admit_many(self, claims: Sequence[Claim]) -> list[Reply[Admission] | JobError]:
        """Admit each of *claims*."""
        due = self._used_queues.due({claim.job.routing.queue for claim in claims})
        calls = [(each.job.key, arguments(each)) for each in claims]
        replies = self._scripts.run_on_each("admit", calls, self._used_queues.note(due))
        self._used_queues.noted(due)
        found = zip(claims, replies, strict=True)
        return [to_admission_or_error(claim.job.key, reply) for claim, reply in found]

    def start(
        self, job: Job, lease: Lease, kept: float = TOMBSTONE_KEPT, *, returns: bool = False
    ) -> Reply[Start]:
        """Grant *lease* if *job* is the one admitted."""
        times = milliseconds(lease.seconds), job.admitted_at, milliseconds(kept)
        terms = job.id, lease.owner, job.fingerprint, *times, int(returns)
        outcome, record = read(job.key, self._scripts.run("start", job.key, *terms))
        return Reply(_STARTS[outcome], record)

    def renew(self, leases: Sequence[Lease]) -> list[Renewal]:
        """Prolong leases."""
        calls = [(key, (owner, milliseconds(seconds))) for key, owner, seconds in leases]
        # A record that cannot be read keeps no lease; the others do all the same.
        return [
            Renewal.FENCED if isinstance(reply, JobError) else _RENEWALS[reply]
            for reply in self._scripts.run_on_each("renew", calls)
        ]

    def checkpoint(self, lease: Lease, reference: str) -> Write:
        """Keep the provider's reference of a call under way."""
        return self._write("checkpoint", lease, reference)

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
        """Publish *answer* and end the flight."""
        cost = -1 if answer.micro_usd is None else answer.micro_usd
        times = milliseconds(ttl.fresh), milliseconds(ttl.kept)
        kept = cost, _entry(book), int(keep_payload), milliseconds(begun_for)
        return self._write("complete", lease, answer.data, answer.meta, *times, *kept)

    def put(self, job: Job, answer: Encoded, ttl: Ttl) -> bool:
        """Keep *answer*, which no run gives."""
        brought = Brought(job.tenant, job.model, job.version, job.routing, job.tags).encode()
        terms = job.id, job.fingerprint, job.task, brought
        times = milliseconds(ttl.fresh), milliseconds(ttl.kept)
        return bool(self._scripts.run("put", job.key, *terms, answer.data, answer.meta, *times))

    def fail(self, lease: Lease, failure: Failing) -> Reply[Write]:
        """Record why there is no answer."""
        reply = self._scripts.run(
            "fail",
            lease.key,
            lease.owner,
            failure.kind,
            failure.reason,
            milliseconds(failure.after),
            milliseconds(failure.keep),
            int(failure.quarantine),
            *(failure.fallback[:2] if failure.fallback else (b"", b"")),
            _entry(failure.book),
            failure.max_attempts or 0,
            failure.spent,
        )
        outcome, record = read(lease.key, reply)
        return Reply(_WRITES[outcome], record)

    def park(self, lease: Lease, reason: str, after: float, within: float, spent: bytes = b"") -> Parking:
        """Give a lease back before anything was paid."""
        terms = lease.owner, reason, milliseconds(after), milliseconds(within), spent
        return _PARKINGS[self._scripts.run("park", lease.key, *terms)]

    def cancel(self, key: Key, run: str | None = None) -> Cancellation:
        """End a queued job unpaid; a call under way is the job's last."""
        return _CANCELLATIONS[self._scripts.run("cancel", key, run or "", int(run is None))]

    def cancel_many(self, keys: Sequence[Key], run: str | None = None) -> list[Cancellation]:
        """Do the same for each of *keys*."""
        replies = self._scripts.run_on_each("cancel", [(key, (run or "", int(run is None))) for key in keys])
        return [
            Cancellation.UNREADABLE if isinstance(reply, JobError) else _CANCELLATIONS[reply]
            for reply in replies
        ]

    def cancel_run(self, run: str, places: Sequence[Place]) -> list[Cancelled]:
        """Cancel some jobs of *run* that no other run shares."""
        calls: list[Call] = [
            ((self._scripts.bucket_key(place.bucket, "idx"),), (run, place.cursor)) for place in places
        ]
        replies = self._scripts.run_all("cancel_run", calls)
        return [_cancelled(place, *reply) for place, reply in zip(places, replies, strict=True)]

    def invalidate(self, key: Key, *, expire: bool = False) -> Write:
        """Forget answer, failure and flight, or make the answer stale."""
        written = _WRITES[self._scripts.run("invalidate", key, int(expire), self._scripts.invalidated)]
        if written is Write.OK:
            emit(self._listen, EventType.ANSWER_CLEARED, Subject(key=key))
        return written

    def reap(
        self, buckets: Sequence[int], delivered: Sequence[Delivered] = (), budget: Budget = DEFAULT_BUDGET
    ) -> list[Lost | RecordDamaged]:
        """Hand out jobs that no worker will start by itself any more."""
        args = (budget.jobs, budget.size, *(word for each in delivered for word in _words(each)))
        calls = [((self._scripts.bucket_key(bucket, "idx"),), args) for bucket in buckets]
        return [to_lost(lost) for reply in self._scripts.run_all("reap", calls) for lost in reply]

    def resent(self, sent: Sequence[Resent]) -> list[Write]:
        """Count messages that were sent again."""
        calls = [(each.key, (each.job, each.sent_at)) for each in sent]
        # A record that cannot be read counts no message; the others do all the same.
        return [
            Write.FENCED if isinstance(reply, JobError) else _WRITES[reply]
            for reply in self._scripts.run_on_each("resent", calls)
        ]

    def subscribe(self, keys: Sequence[Key]) -> AbstractContextManager[RedisSubscription]:
        """Wake up when a flight of one of *keys* ends."""
        return listening(self._link, keys, lambda key: self._scripts.record_keys(key)[0].encode())

    def invalidations(self) -> AbstractContextManager[RedisInvalidations]:
        """Hear which answers are invalidated from now on."""
        return invalidations(self._scripts)

    def levels(self) -> Levels:
        """Return what the servers hold now."""
        return read_levels(self._scripts)

    def used_queues(self) -> dict[str, float]:
        """Return the queues that are in use."""
        return self._used_queues.ages()

    def check(self) -> list[Finding]:
        """Look at the servers, and at whether this user may run the verbs; writes nothing."""
        findings = [
            found
            for client in self._link.clients()
            for found in check_server(
                client, subject="store", place=place_of(client), clustered=self._link.is_cluster
            )
        ]
        if not any(found.severity == "error" for found in findings):
            findings += self._check_scripts()
        return findings

    def close(self) -> None:
        """Close every connection."""
        self._link.close()

    def _write(self, verb: str, lease: Lease, *args: bytes | str | int) -> Write:
        return _WRITES[self._scripts.run(verb, lease.key, lease.owner, *args)]

    def _check_scripts(self) -> Iterator[Finding]:
        key = Key("0" * 64)
        try:
            self.read([key])[0].checked()
        except StoreUnavailable as error:
            cause = error.__cause__
            if isinstance(cause, RedisConnectionError | RedisTimeoutError):
                # It answered a moment ago: a server that restarts must not look like one that refuses.
                client = self._link.client_of(self._scripts.record_keys(key)[0])
                yield no_answer("store", place_of(client), cause)
                return
            prefix = self._scripts.prefix
            text = f"does not let this user run scripts on {prefix}...}} ({error.reason})"
            cure = "allow its user EVAL, EVALSHA and the commands in them, on these keys and channels"
            yield Finding(severity="error", subject="store", name="scripts", text=text, cure=cure)


def _cancelled(place: Place, cursor: bytes, *counts: int) -> Cancelled:
    """Read the reply of ``cancel_run.lua``."""
    left = place._replace(cursor=int(cursor)) if cursor != b"0" else None
    return Cancelled(dict(zip(_COUNTED, counts, strict=True)), left)


def _to_kept(key: Key, reply: list[Any]) -> Kept:
    """Read the reply of ``hit.lua``.

    Raises:
        RecordDamaged: something else wrote to the record.
    """
    try:
        job, data, meta, fence, stored_at, age, fresh_for, cost = reply
        times = stored_at / 1000, age / 1000, fresh_for / 1000
        return Kept(JobId(job.decode()), data, meta, fence, *times, None if cost < 0 else cost)
    except DAMAGE as error:
        raise RecordDamaged(key=key, reason=type(error).__name__) from None


def _entry(book: Book | None) -> str:
    return book.entry if book else ""


def _words(delivered: Delivered) -> tuple[str | int, ...]:
    if delivered.seconds is None:
        return delivered.queue, delivered.priority, "at", delivered.sent_at
    return delivered.queue, delivered.priority, "ago", milliseconds(delivered.seconds)
