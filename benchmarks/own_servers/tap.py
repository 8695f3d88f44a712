"""Stands between a client and a server, passes on every byte, and keeps a copy of what each side sent.

It shows what a server really sends: status, headers, body, and how the connection ended.
"""

from __future__ import annotations

import re
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final, Self

from sandbox.server import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

_BYTES: Final = 65_536
_REQUEST: Final = re.compile(rb"(?:POST|GET) (\S+) HTTP/1\.1\r\n")
_RESPONSE: Final = re.compile(rb"HTTP/1\.1 (\d{3})[^\r]*\r\n")
#: Ends a connection with a reset, as the other side did.
_AT_ONCE: Final = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Connection:
    """What one connection carried."""

    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    #: Whether the client waits for a reply.
    waits: bool = False


class Tap:
    """Listens on a port of its own and connects to *address* for each connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._connections: list[Connection] = []
        self._moved = Condition()
        #: The most requests that were open at once.
        self.most_open = 0
        self._port = free_port()
        self._listener: socket.socket | None = None

    @property
    def url(self) -> str:
        """The address for a client, without a path."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Accept connections."""
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=256)
        Thread(target=self._accept, args=(self._listener,), name="tap", daemon=True).start()

    def close(self) -> None:
        """Refuse connections, as a server does that is away. Those that are open stay open."""
        if self._listener is not None:
            # A listener that is only closed would go on accepting in the other thread.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def clear(self) -> None:
        """Forget what was carried so far."""
        with self._moved:
            self._connections.clear()

    def requests(self) -> list[str]:
        """Return the path of each request."""
        return [path.decode() for path in self._found(lambda each: _REQUEST.findall(each.sent))]

    def statuses(self) -> list[int]:
        """Return the status of each reply."""
        return [int(status) for status in self._found(lambda each: _RESPONSE.findall(each.received))]

    def replies(self) -> list[str]:
        """Return what the server sent, one text for each connection."""
        with self._moved:
            return [each.received.decode(errors="replace") for each in self._connections if each.received]

    def wait_for_request(self, seconds: float) -> bool:
        """Wait for the first request; return False after *seconds*."""
        with self._moved:
            return self._moved.wait_for(lambda: any(each.sent for each in self._connections), seconds)

    def _found(self, find: Callable[[Connection], list[bytes]]) -> list[bytes]:
        with self._moved:
            return [found for each in self._connections for found in find(each)]

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._address)
            except OSError:
                _reset(client)
                continue
            connection = Connection()
            with self._moved:
                self._connections.append(connection)
            for source, target, is_sent in ((client, server, True), (server, client, False)):
                carried = (source, target, connection)
                Thread(target=self._carry, args=carried, kwargs={"is_sent": is_sent}, daemon=True).start()

    def _carry(
        self, source: socket.socket, target: socket.socket, connection: Connection, *, is_sent: bool
    ) -> None:
        while True:
            try:
                data = source.recv(_BYTES)
            except OSError:
                self._keep(connection, b"", is_sent=is_sent)
                _reset(target)
                return
            self._keep(connection, data, is_sent=is_sent)
            if not data:
                with suppress(OSError):
                    target.shutdown(socket.SHUT_WR)
                return
            with suppress(OSError):
                target.sendall(data)

    def _keep(self, connection: Connection, data: bytes, *, is_sent: bool) -> None:
        """Keep what one side sent; without *data* it sends nothing more."""
        with self._moved:
            (connection.sent if is_sent else connection.received).extend(data)
            connection.waits = is_sent and bool(data)
            self.most_open = max(self.most_open, sum(each.waits for each in self._connections))
            self._moved.notify_all()


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        connection.shutdown(socket.SHUT_RD)
    connection.close()
