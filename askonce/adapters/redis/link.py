"""Sends commands over redis-py connections, without the layers that a script call does not need.

``Redis.execute_command`` costs about as much again as the round trip itself on loopback: pool locks, retry
objects, telemetry, response callbacks. A link takes a connection from a stack, writes, reads, and puts it
back. Connecting, authentication, TLS and timeouts stay redis-py's. Each server has one breaker.

A server that was the primary stays connected after a failover: it refuses each write, for ever. So a link
leaves such a server. It closes all connections and connects again, by the server's name or by the sentinels.
"""

from __future__ import annotations

import os
from collections import deque
from itertools import chain
from threading import Semaphore
from typing import TYPE_CHECKING, Any, Final, Protocol

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from askonce.adapters.redis.refusals import code_of, is_not_in_service
from askonce.events import EventType, emit
from askonce.store import Address
from askonce.store_down.breaker import Breaker

try:
    import hiredis
except ImportError:  # redis-py then packs in Python, at ten times the cost
    _pack: Any = None
else:
    _pack = hiredis.pack_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from askonce.events import Listener

# redis-py leaves its connections untyped.
Connection = Any
#: Where EVAL and EVALSHA have their first key; other commands have theirs in the second place.
_KEY = 3
#: Round trips of one process at once. Of a thousand threads that end together each would open a connection,
#: and each that waits for the interpreter's lock wakes up 200 times a second: that took eight seconds.
_AT_ONCE: Final = 16


class BreakerOpen(RedisConnectionError):
    """Nothing was sent, because the last calls had no reply."""


class NotInService(RedisConnectionError):
    """The server is no primary, or still loads its data: its connections are closed."""


class Link(Protocol):
    """The servers of one store."""

    @property
    def is_cluster(self) -> bool:
        """Whether records are spread over several servers."""

    @property
    def address(self) -> Address | None:
        """The one server at a fixed place, where it is that."""

    @property
    def moves(self) -> int:
        """How often a server was left for another one: what listens there listens in vain."""

    def report_to(self, listen: Listener) -> None:
        """Emit store.down and store.up to *listen*."""

    def ask(self, *commands: tuple[Any, ...], always: bool = False) -> list[Any]:
        """Send *commands* and return their replies in order; an error reply is returned, not raised.

        With *always* they are sent although the breaker is open. A lost or late connection is replaced once
        and the commands are sent again, so a script with the same token may run twice.

        Raises:
            redis.exceptions.RedisError: no server answered.
        """

    def ask_each(self, *commands: tuple[Any, ...]) -> Iterator[Any]:
        """Send *commands* and yield their replies as they come: the caller works while the server does.

        After a lost connection all are sent again, as by ``ask``.

        Raises:
            redis.exceptions.RedisError: no server answered.
        """

    def client_of(self, key: str) -> Redis:
        """Return the client of the server that has *key*."""

    def place_of(self, key: str) -> str:
        """Return the server that has *key*, as errors name it; sends nothing."""

    def refused(self, key: str, reason: str) -> None:
        """Report that the server that has *key* replied, and refused."""

    def clients(self) -> list[Redis]:
        """Return a client of each server."""

    def close(self) -> None:
        """Close every connection."""


class ServerLink:
    """One server behind a stack of idle connections; safe for threads, and for a child after a fork."""

    is_cluster = False

    def __init__(self, client: Redis) -> None:
        """Open connections as *client* would."""
        self.client, self._pool = client, client.connection_pool
        self.breaker = Breaker()
        self._idle: deque[Connection] = deque()
        self._turns = Semaphore(_AT_ONCE)
        self._pid = os.getpid()
        self.moves = 0
        #: Whether this process has told that it reached the server.
        self._is_known = False

    @property
    def address(self) -> Address | None:
        """The server; None where sentinels name it."""
        options = self._pool.connection_kwargs
        place = options.get("path") or options.get("host")
        return place and Address(place, int(options.get("port") or 0), str(options.get("db") or 0))

    def report_to(self, listen: Listener) -> None:
        """Emit store.down and store.up to *listen*."""
        self.breaker.listen = listen

    def ask(self, *commands: tuple[Any, ...], always: bool = False) -> list[Any]:
        """Send *commands* in one write; see ``Link.ask``. A server that hangs costs twice its timeout."""
        self._renew_after_fork()
        breaker = self.breaker
        try:
            replies = self._exchange_in_turn(commands, always=always)
        except (BreakerOpen, MaxConnectionsError):
            # Nothing was sent: neither says anything of the server.
            raise
        except RedisError:
            breaker.failed()
            raise
        if breaker.errors:
            breaker.answered()
        return replies

    def _exchange_in_turn(self, commands: tuple[tuple[Any, ...], ...], *, always: bool) -> list[Any]:
        with self._turns:
            # Asked in its turn: a caller that waited learns that those before it had no reply.
            if self.breaker.rest and not always and not self.breaker.allows():
                raise BreakerOpen
            return self.exchange(*commands)

    def exchange(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send *commands* whatever the breaker's state, and send them again after a lost connection."""
        try:
            return self.exchange_once(*commands)
        except (RedisTimeoutError, RedisConnectionError):
            # A server that was left is another one now, where a failover is over.
            return self.exchange_once(*commands)

    def ask_each(self, *commands: tuple[Any, ...]) -> Iterator[Any]:
        """Send *commands* in one write and yield their replies as they come; see ``Link.ask_each``."""
        self._renew_after_fork()
        seen = 0
        try:
            if commands and not self.breaker.errors:
                replies = self._replies(commands)
                # Its turn ends with the first reply: the caller may call the store before the last one.
                with self._turns:
                    first = next(replies)
                for reply in chain((first,), replies):
                    seen += 1
                    yield reply
        except (RedisTimeoutError, RedisConnectionError):
            pass  # none of those that are left was seen
        if seen < len(commands):
            yield from self.ask(*commands)[seen:]

    def exchange_once(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send *commands* once: it costs the socket's timeout at most."""
        return list(self._replies(commands))

    def _replies(self, commands: tuple[tuple[Any, ...], ...]) -> Iterator[Any]:
        connection, moves = self._take(), self.moves
        try:
            if not connection.is_connected:
                # Not left to the sending: that would not query the sentinels for the primary.
                connection.connect()
                self._report_first()
            connection.send_packed_command(_packed(connection, commands), check_health=False)
            for _ in commands:
                yield _reply(connection)
        except BaseException as error:
            # The replies that are still to be read on it belong to no command; it connects again at its
            # next use.
            connection.disconnect()
            if isinstance(error, RedisConnectionError) and is_not_in_service(error):
                self._leave(moves)
            raise
        finally:
            if moves != self.moves:
                connection.disconnect()
            self._idle.append(connection)

    def client_of(self, key: str) -> Redis:  # noqa: ARG002  # a cluster has one for each node
        """Return the server's client."""
        return self.client

    def place_of(self, key: str) -> str:  # noqa: ARG002  # a cluster has many
        """Return the server in one word, without its login: ``127.0.0.1:6379/0``."""
        to = self._pool.connection_kwargs
        database = to.get("db") or 0
        if "path" in to:
            return f"{to['path']}?db={database}"
        sentinels = getattr(self._pool, "service_name", None)
        return (
            f"sentinel:{sentinels}/{database}"
            if sentinels
            else f"{to.get('host')}:{to.get('port')}/{database}"
        )

    def refused(self, key: str, reason: str) -> None:
        """Report that the server replied, and refused."""
        self.breaker.refused(reason, self.place_of(key))

    def clients(self) -> list[Redis]:
        """Return the server's client."""
        return [self.client]

    def close(self) -> None:
        """Close every connection."""
        self.close_idle()
        self.client.close()

    def close_idle(self) -> None:
        """Close this link's connections; the client's own stay open."""
        while self._idle:
            self._idle.pop().disconnect()

    def _report_first(self) -> None:
        if not self._is_known:
            self._is_known = True
            emit(self.breaker.listen, EventType.STORE_CONNECTED, server=self.place_of(""))

    def _leave(self, moves: int) -> None:
        """Close each connection to a server that is not in service: the next one looks for it anew."""
        if moves != self.moves:
            return  # another thread did, and may have reached the new server
        # First the number: a connection that another thread uses now is closed when it comes back.
        self.moves += 1
        self.close_idle()
        # What subscriptions and checks use.
        self._pool.disconnect(inuse_connections=False)

    def _renew_after_fork(self) -> None:
        """Begin anew in a forked child: without its parent's sockets, and locks that a thread there held."""
        if self._pid != os.getpid():
            self._idle, self._turns, self._pid = deque(), Semaphore(_AT_ONCE), os.getpid()
            self.breaker, self._is_known = Breaker(listen=self.breaker.listen), False

    def _take(self) -> Connection:
        self._renew_after_fork()
        try:
            return self._idle.pop()
        except IndexError:
            return self._pool.make_connection()


def first_key(command: tuple[Any, ...]) -> str:
    """Return the first key of a command."""
    return str(command[_KEY if command[0].startswith("EVAL") else 1])


def _packed(connection: Connection, commands: tuple[tuple[Any, ...], ...]) -> list[bytes]:
    if _pack is None:
        return list(connection.pack_commands(commands))
    if len(commands) == 1:
        return [_pack(commands[0])]
    return [b"".join(map(_pack, commands))]


def _reply(connection: Connection) -> Any:  # noqa: ANN401  # whatever a script returns
    try:
        return connection.read_response()
    except ResponseError as error:
        refused = error
    except RedisConnectionError as error:
        # redis-py's connection through sentinels raises it in place of a refusal.
        if not isinstance(error.__context__, ReadOnlyError):
            raise
        refused = error.__context__
    if is_not_in_service(refused):
        raise NotInService(status_code=code_of(refused)) from refused
    return refused
