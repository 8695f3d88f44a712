"""Keeps records on Redis (6.2 or newer) or Valkey, also a cluster; each verb is a script and a round trip.

Keys are ``{askonce:<namespace>:<bucket>}:rec:<key>`` and ``...:idx``; the braces put a record, the index
of its bucket and its wake-up channel into one slot of a cluster.
"""

from __future__ import annotations

import re
from functools import partial
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from redis import Redis
from redis.exceptions import MaxConnectionsError, NoScriptError, RedisError, ResponseError

from askonce.adapters.redis.checks import check_server
from askonce.adapters.redis.letters import DeadListing
from askonce.adapters.redis.link import Link
from askonce.adapters.redis.reply import to_full_snapshot, to_lost, to_snapshot
from askonce.adapters.redis.servers import connect, place_of, reason_of
from askonce.adapters.redis.subscription import listening
from askonce.checks import Finding
from askonce.errors import LayoutNewer, StoreUnavailable
from askonce.events import Listener, ignore
from askonce.store import BUCKETS, MAX_RESENDS, Admission, Lost, Reply, Start, Write
from askonce.store_down.breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from askonce.adapters.redis.cluster import ClusterLink
    from askonce.adapters.redis.subscription import RedisSubscription
    from askonce.record import Snapshot
    from askonce.store import Claim, Failing

VERBS = ("read", "admit", "start", "renew", "checkpoint", "complete", "fail", "release", "invalidate", "reap")
#: What a person looks at.
LISTINGS = ("dead", "show")
#: Nobody waits for these, so they are made even while callers are kept off a store that is down: they keep
#: leases and paid answers, and the first of them that is answered lets the callers in again.
_BACKGROUND = frozenset({"renew", "complete", "fail", "reap"})
#: Short enough that a hanging server costs a caller less than a second, the one replay included; no
#: hidden retries of redis-py's, whose default blocks for a minute. One connection a busy thread.
CLIENT_OPTIONS: dict[str, Any] = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), 0.3)
CLIENT_OPTIONS["max_connections"] = 1000

# Looked up by the bytes on the wire: calling the enum would decode and search.
_ADMISSIONS = {outcome.value.encode(): outcome for outcome in Admission}
_STARTS = {outcome.value.encode(): outcome for outcome in Start}
_WRITES = {outcome.value.encode(): outcome for outcome in Write}
_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]{1,40}")


def scripts(clock: str | None = None) -> dict[str, str]:
    """Return each verb's source; *clock* replaces the server's clock in tests."""
    lua = files("askonce.adapters.redis") / "lua"
    shared = (clock or (lua / "clock.lua").read_text()) + (lua / "record.lua").read_text()
    verbs = {verb: shared + (lua / f"{verb}.lua").read_text() for verb in (*VERBS, *LISTINGS)}
    admit = (lua / "admit.lua").read_text()
    publish = f"local function admit()\n{admit}end\n{(lua / 'publish.lua').read_text()}"
    return verbs | {"publish": shared + publish}


class Address(NamedTuple):
    """One database of one server."""

    #: A host, or the path of a unix socket, which has port 0.
    host: str
    port: int
    database: str


class RedisStore(DeadListing):
    """The store on one Redis or Valkey server, or on a cluster of them."""

    def __init__(
        self,
        servers: Redis | ClusterLink,
        *,
        namespace: str,
        clock: str | None = None,
        listen: Listener = ignore,
    ) -> None:
        """Use the connections of *servers*; *namespace* parts applications that share them."""
        if not _NAMESPACE.fullmatch(namespace):
            raise ValueError(f"namespace must match {_NAMESPACE.pattern}")
        self._link: Link | ClusterLink = Link(servers) if isinstance(servers, Redis) else servers
        #: One for each node of a cluster: one that is lost must not keep callers off the others.
        self._breakers: dict[tuple[str, int] | None, Breaker] = {}
        self._new_breaker = partial(Breaker, listen=listen)
        self._prefix = f"{{askonce:{namespace}:b"
        self._sources = scripts(clock)
        self._shas = {
            verb: sha1(text.encode(), usedforsecurity=False).hexdigest()
            for verb, text in self._sources.items()
        }

    @classmethod
    def from_url(
        cls, url: str, *, namespace: str, listen: Listener = ignore, tls: Mapping[str, str] | None = None
    ) -> Self:
        """Connect lazily to *url*, such as ``redis://127.0.0.1:6379/0`` or ``unix:///path?db=0``.

        See ``redis_servers`` for other URLs. *tls* are redis-py's ``ssl_`` options, for a URL with TLS.

        Raises:
            ValueError: the URL cannot be read.
        """
        return cls(connect(url, {**CLIENT_OPTIONS, **(tls or {})}), namespace=namespace, listen=listen)

    @property
    def address(self) -> Address | None:
        """Where the records are, if that is one server at a place that stays."""
        if not isinstance(self._link, Link):
            return None
        options = self._link.client.connection_pool.connection_kwargs
        place = options.get("path") or options.get("host")
        return place and Address(place, int(options.get("port") or 0), str(options.get("db") or 0))

    def __repr__(self) -> str:
        # The client's own repr would show the password.
        return f"RedisStore({self._prefix[1:-1]})"

    def read(self, keys: Sequence[str]) -> list[Snapshot]:
        """Look at records; changes nothing."""
        replies = self._run_all("read", [(self._keys(key)[:1], ()) for key in keys])
        return [to_full_snapshot(reply) for reply in replies]

    def admit(self, claim: Claim) -> Reply[Admission]:
        """Give the right to send a message to the first who asks."""
        reply = self._run("admit", self._keys(claim.key), *_terms(claim))
        return Reply(_ADMISSIONS[reply[0]], to_snapshot(reply))

    def admit_and_push(self, claim: Claim, queue: str, tag: str, template: bytes) -> Reply[Admission]:
        """Admit *claim*; if ADMITTED, put *template* into the list *queue*, filled as publish.lua says."""
        keys = (*self._keys(claim.key), queue)
        reply = self._run("publish", keys, *_terms(claim), claim.key, tag, template)
        return Reply(_ADMISSIONS[reply[0]], to_snapshot(reply))

    def start(self, key: str, job: str, owner: str, fingerprint: str, lease: float) -> Reply[Start]:
        """Lease the key to *owner*, if *job* is the one admitted."""
        reply = self._run("start", self._keys(key), job, owner, fingerprint, _ms(lease))
        return Reply(_STARTS[reply[0]], to_snapshot(reply))

    def renew(self, leases: Sequence[tuple[str, str, float]]) -> list[Write]:
        """Prolong leases, each (key, owner, seconds)."""
        calls = [(self._keys(key), (owner, _ms(lease))) for key, owner, lease in leases]
        return [_WRITES[reply] for reply in self._run_all("renew", calls)]

    def checkpoint(self, key: str, owner: str, reference: str) -> Write:
        """Keep the provider's reference of a call under way."""
        return _WRITES[self._run("checkpoint", self._keys(key), owner, reference)]

    def complete(self, key: str, owner: str, data: bytes, meta: bytes, soft: float, hard: float) -> Write:
        """Publish an answer and end the flight."""
        return _WRITES[self._run("complete", self._keys(key), owner, data, meta, _ms(soft), _ms(hard))]

    def fail(self, key: str, owner: str, failure: Failing) -> Reply[Write]:
        """Record why there is no answer."""
        reply = self._run(
            "fail",
            self._keys(key),
            owner,
            failure.kind,
            failure.reason,
            _ms(failure.after),
            _ms(failure.keep),
            int(failure.quarantine),
            failure.data,
            failure.meta,
        )
        return Reply(_WRITES[reply[0]], to_snapshot(reply))

    def release(self, key: str, owner: str) -> Write:
        """Give a lease back before the call began."""
        return _WRITES[self._run("release", self._keys(key), owner)]

    def invalidate(self, key: str) -> Write:
        """Forget answer, failure and flight."""
        return _WRITES[self._run("invalidate", self._keys(key))]

    def reap(self, buckets: Sequence[int], limit: int) -> list[Lost]:
        """Collect jobs whose time ran out."""
        calls = [
            ((f"{self._prefix}{bucket % BUCKETS:02x}}}:idx",), (limit, MAX_RESENDS)) for bucket in buckets
        ]
        return [lost for reply in self._run_all("reap", calls) for lost in to_lost(reply)]

    def subscribe(self, keys: Sequence[str]) -> AbstractContextManager[RedisSubscription]:
        """Hear when a flight of one of *keys* ends."""
        return listening(self._link, {self._keys(key)[0].encode(): key for key in keys})

    def check(self) -> list[Finding]:
        """Look at the server, and at whether this user may run the verbs; writes nothing."""
        clustered = not isinstance(self._link, Link)
        findings = [
            found
            for client in self._link.clients()
            for found in check_server(client, subject="store", place=place_of(client), clustered=clustered)
        ]
        if not any(found.severity == "error" for found in findings):
            findings += self._check_scripts()
        return findings

    def close(self) -> None:
        """Close every connection."""
        self._link.close()
        if isinstance(self._link, Link):
            self._link.client.close()

    def _check_scripts(self) -> Iterator[Finding]:
        try:
            self.read(["0" * 64])
        except StoreUnavailable as error:
            text = f"does not let this user run scripts on {self._prefix}...}} ({error.reason})"
            cure = "allow its user EVAL, EVALSHA and the commands in them, on these keys and channels"
            yield Finding(severity="error", subject="store", name="scripts", text=text, cure=cure)

    def _keys(self, key: str) -> tuple[str, str]:
        slot = f"{self._prefix}{key[:2]}}}:"
        return f"{slot}rec:{key}", f"{slot}idx"

    def _run(self, verb: str, keys: tuple[str, ...], *args: bytes | str | int) -> Any:  # noqa: ANN401  # a status or a list, as the script says
        """Run one verb on one key: the path of every ask, so it does nothing twice."""
        command = ("EVALSHA", self._shas[verb], len(keys), *keys, *args)
        reply = self._ask(verb, command)[0]
        if isinstance(reply, NoScriptError):
            reply = self._ask(verb, ("EVAL", self._sources[verb], *command[2:]))[0]
        if isinstance(reply, ResponseError):
            raise _to_error(verb, reply) from reply
        return reply

    def _run_all(
        self, verb: str, calls: Sequence[tuple[tuple[str, ...], tuple[bytes | str | int, ...]]]
    ) -> list[Any]:
        """Run one verb on many keys in one round trip; a server that forgot the script gets it again."""
        if not calls:
            return []
        commands = [("EVALSHA", self._shas[verb], len(keys), *keys, *args) for keys, args in calls]
        replies = self._ask(verb, *commands)
        # A cluster's nodes forget one by one: each round teaches at least one of them.
        while forgotten := [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]:
            # The first one teaches the script to the server (EVAL, for SCRIPT may be forbidden), the
            # others then find it.
            first, *others = forgotten
            replies[first] = self._ask(verb, ("EVAL", self._sources[verb], *commands[first][2:]))[0]
            again = self._ask(verb, *(commands[i] for i in others)) if others else []
            for i, reply in zip(others, again, strict=True):
                replies[i] = reply
        for reply in replies:
            # A cluster may have lost some of its nodes.
            if isinstance(reply, RedisError):
                raise _to_error(verb, reply) from reply
        return replies

    def _ask(self, verb: str, *commands: tuple[Any, ...]) -> list[Any]:
        place = self._link.place_of(commands)
        breaker = self._breakers.get(place) or self._breakers.setdefault(place, self._new_breaker())
        if verb not in _BACKGROUND and not breaker.allows():
            raise StoreUnavailable(verb=verb, reason="breaker_open")
        try:
            replies = self._link.ask(*commands)
        except MaxConnectionsError as exc:
            # This process's own limit: it tells nothing of the server.
            raise StoreUnavailable(verb=verb, reason=type(exc).__name__) from exc
        except RedisError as exc:
            breaker.failed()
            raise StoreUnavailable(verb=verb, reason=reason_of(exc)) from exc
        breaker.answered()
        return replies


def _terms(claim: Claim) -> tuple[bytes | str | int, ...]:
    return (
        claim.job,
        claim.fingerprint,
        claim.task,
        claim.payload,
        _ms(claim.queue_deadline),
        claim.max_attempts,
        claim.on_mismatch,
        int(claim.force),
        -1 if claim.max_age is None else _ms(claim.max_age),
        claim.edition,
    )


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _to_error(verb: str, reply: RedisError) -> Exception:
    if "ASKONCE_LAYOUT_NEWER" in str(reply):
        return LayoutNewer(verb=verb)
    if "ASKONCE_LEASE" in str(reply):
        return ValueError("a lease must be longer than 0 seconds")
    return StoreUnavailable(verb=verb, reason=type(reply).__name__)
