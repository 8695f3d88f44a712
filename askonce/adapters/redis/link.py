"""Sends commands over redis-py connections, without the layers that a script call does not need.

``Redis.execute_command`` costs about as much again as the round trip itself on loopback: pool locks,
retry objects, telemetry, response callbacks. Here a call takes a connection from a stack, writes,
reads, and puts it back. Connecting, authentication, TLS and timeouts stay redis-py's.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

try:
    import hiredis
except ImportError:  # redis-py then packs in Python, at ten times the cost
    _pack: Any = None
else:
    _pack = hiredis.pack_command

if TYPE_CHECKING:
    from redis import Redis


# redis-py leaves its connections untyped.
Connection = Any

#: A server on the same machine answers in 20 us, but a process that went to sleep for that takes 40 us more
#: to wake up: a process of one thread watches for the answer, for this long at most (seconds).
_WATCH = 100e-6
#: Where it does not come so soon, or there are threads, the next calls do not watch: one after the first
#: time, so that a hiccup costs little, and twice as many after each further one in a row, up to this.
_CALLS_UNWATCHED = 64


class Link:
    """A stack of idle connections; safe for threads, and for a child after a fork."""

    def __init__(self, client: Redis) -> None:
        """Open connections as *client* would."""
        self.client, self._pool = client, client.connection_pool
        self._idle: deque[Connection] = deque()
        self._pid = os.getpid()
        self._unwatched = 0 if hasattr(select, "poll") and (os.cpu_count() or 1) > 1 else sys.maxsize
        self._rest = 1

    def ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send *commands* in one write and read their replies; an error reply is returned, not raised.

        A lost or late connection is replaced once and the commands are sent again: a script with the
        same token may run twice. So a server that hangs costs twice the socket's timeout.
        """
        try:
            return self._exchange(commands)
        except (RedisTimeoutError, RedisConnectionError):
            return self._exchange(commands)

    def ask_once(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Do the same without sending anything again: it costs the socket's timeout at most."""
        return self._exchange(commands)

    def place_of(self, _commands: tuple[tuple[Any, ...], ...]) -> None:
        """There is one server, and one health."""

    def client_of(self, key: str) -> Redis:  # noqa: ARG002  # a cluster's link has one for each node
        """Return the client of the server that has *key*."""
        return self.client

    def clients(self) -> list[Redis]:
        """Return the client of each server."""
        return [self.client]

    def _exchange(self, commands: tuple[tuple[Any, ...], ...]) -> list[Any]:
        connection = self._take()
        try:
            if not connection.is_connected:
                # Not left to the sending: that would not ask the sentinels who the primary is.
                connection.connect()
            connection.send_packed_command(_packed(connection, commands), check_health=False)
            if self._unwatched:
                self._unwatched -= 1
            elif threading.active_count() == 1 and self._watch(connection):
                self._rest = 1
            else:
                self._unwatched = self._rest
                self._rest = min(self._rest * 2, _CALLS_UNWATCHED)
            return [_reply(connection) for _ in commands]
        except BaseException:
            # What is still to be read on it belongs to nobody; it connects again at its next use.
            connection.disconnect()
            raise
        finally:
            self._idle.append(connection)

    @staticmethod
    def _watch(connection: Connection) -> bool:
        """Look for the answer without going to sleep; tell whether it came within a moment."""
        readable, until = select.poll(), perf_counter() + _WATCH
        readable.register(connection._sock, select.POLLIN)  # noqa: SLF001  # redis-py has no public name for it
        while not readable.poll(0):
            if perf_counter() > until:
                return False
        return True

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().disconnect()

    def _take(self) -> Connection:
        if self._pid != os.getpid():
            # A forked child must not speak on its parent's sockets.
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._pool.make_connection()


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
        return error
