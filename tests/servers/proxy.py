"""Stands between a client and a server on this machine, and breaks their links on request.

with Proxy(server.port) as proxy:
    client = connect(proxy.port)
    proxy.cut()  # what was open is closed; new links are taken at once
    with proxy.blocked():  # a black hole: links are taken, nothing is forwarded
        ...
    with proxy.refusing():  # nobody listens; links that are open stay
        ...
    dropped = proxy.drop_reply(b"LPUSH")  # the server does it, the client never learns of it
    silent = proxy.block_at(b"LPUSH")  # a black hole from that request on, until unblock
"""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Self

from tests.deadlines import stretched

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST, _CHUNK_BYTES, _CONNECT_SECONDS, _JOIN_SECONDS = "127.0.0.1", 1 << 16, 5.0, 5.0


@dataclass(slots=True, eq=False)
class _Link:
    client: socket.socket
    server: socket.socket
    #: Set when the reply that comes next is to be lost.
    doomed: Event | None = None
    closed: bool = False
    pumps: list[Thread] = field(default_factory=list)

    def close(self) -> None:
        self.closed = True
        for end in (self.client, self.server):
            # Closing alone does not wake a thread that reads.
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@dataclass(frozen=True, slots=True)
class _Wish:
    containing: bytes
    blocks: bool
    done: Event


class Proxy:
    """Forwards links from a port of 127.0.0.1 that the kernel picks to *target*, another one."""

    def __init__(self, target: int) -> None:
        self.target = target
        #: Links taken since the start.
        self.taken = 0
        self._lock, self._links = Lock(), set[_Link]()
        self._open = Event()
        self._open.set()
        self._wish: _Wish | None = None
        self._listener = _listen(0)
        self.port = int(self._listener.getsockname()[1])
        self._acceptor: Thread | None = None

    def __enter__(self) -> Self:
        self._accept_from_now()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_listening()
        links = self.cut()
        self._open.set()
        for pump in [pump for link in links for pump in link.pumps]:
            pump.join(stretched(_JOIN_SECONDS))

    @property
    def links(self) -> int:
        """How many links are open."""
        with self._lock:
            return len(self._links)

    def cut(self) -> list[_Link]:
        """Close every link now, with what a block holds back of it; new ones are taken."""
        with self._lock:
            links = list(self._links)
        for link in links:
            self._close(link)
        return links

    def block(self) -> None:
        """Take links and bytes, forward nothing in either direction."""
        self._open.clear()

    def unblock(self) -> None:
        """Forward what was held back, also of a client that has given up, and go on."""
        self._open.set()

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Block as long as the block runs."""
        self.block()
        try:
            yield
        finally:
            self.unblock()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Listen no more as long as the block runs; links that are open stay."""
        self._stop_listening()
        try:
            yield
        finally:
            self._listener = _listen(self.port)
            self._accept_from_now()

    def drop_reply(self, containing: bytes = b"") -> Event:
        """Lose the reply to the next request that contains these bytes, and cut its link.

        The server executes the request. The event is set when the reply is lost; a later call replaces a
        wish that has not come true.
        """
        return self._wish_for(containing, blocks=False)

    def block_at(self, containing: bytes) -> Event:
        """Block from the next request on that contains these bytes; it is held back too.

        The event is set when that is so; a later call, of ``drop_reply`` too, replaces the wish.
        """
        return self._wish_for(containing, blocks=True)

    def _wish_for(self, containing: bytes, *, blocks: bool) -> Event:
        done = Event()
        with self._lock:
            self._wish = _Wish(containing, blocks, done)
        return done

    def _accept_from_now(self) -> None:
        name = f"proxy-{self.port}"
        self._acceptor = Thread(target=self._accept, args=(self._listener,), name=name, daemon=True)
        self._acceptor.start()

    def _stop_listening(self) -> None:
        # Closing alone does not wake a thread that accepts.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._acceptor is not None:
            self._acceptor.join(stretched(_JOIN_SECONDS))

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._begin(_Link(client, server))

    def _connect(self) -> socket.socket:
        return socket.create_connection((_HOST, self.target), stretched(_CONNECT_SECONDS))

    def _begin(self, link: _Link) -> None:
        for end in (link.client, link.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.pumps = [
            Thread(target=pump, args=(link,), name=f"proxy-{self.port}-{pump.__name__}", daemon=True)
            for pump in (self._send_requests, self._send_replies)
        ]
        with self._lock:
            self._links.add(link)
            self.taken += 1
        for pump in link.pumps:
            pump.start()

    def _send_requests(self, link: _Link) -> None:
        seen = b""
        with suppress(OSError):
            while chunk := link.client.recv(_CHUNK_BYTES):
                self._open.wait()
                # The bytes may be spread over two chunks.
                seen = seen[-100:] + chunk
                if self._grants_a_wish(link, seen):
                    seen = b""
                self._open.wait()
                link.server.sendall(chunk)
        self._close(link)

    def _grants_a_wish(self, link: _Link, seen: bytes) -> bool:
        with self._lock:
            wish = self._wish
            if wish is None or wish.containing not in seen:
                return False
            self._wish = None
            if wish.blocks:
                self._open.clear()
                wish.done.set()
            else:
                # Before the server has the request: its reply may be faster than this thread.
                link.doomed = wish.done
            return True

    def _send_replies(self, link: _Link) -> None:
        with suppress(OSError):
            while chunk := link.server.recv(_CHUNK_BYTES):
                self._open.wait()
                if link.doomed is not None:
                    # First, because the client may go on at once.
                    link.doomed.set()
                    self._close(link)
                    return
                link.client.sendall(chunk)
        self._close(link)

    def _close(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)
        link.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    # The port was ours a moment ago, and some of its links may still be closing.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((_HOST, port))
    listener.listen(128)
    return listener
