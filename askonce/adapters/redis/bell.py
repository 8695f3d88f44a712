"""Ends a thread's wait for a socket, from any other thread: the self-pipe of D. J. Bernstein."""

from __future__ import annotations

from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from socket import socketpair
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from socket import socket


class Bell:
    """One waits, and any number of threads ring."""

    def __init__(self) -> None:
        """Open two sockets."""
        self._inside, self._outside = socketpair()
        for each in (self._inside, self._outside):
            each.settimeout(0)
        # The number of a socket that is closed during a call may be another file's by then.
        self._lock = Lock()

    def ring(self) -> None:
        """End the wait under way, or the next one; nothing after ``close``."""
        with self._lock:
            if self._outside.fileno() < 0:
                return
            # Full: it has rung often enough.
            with suppress(BlockingIOError):
                self._outside.send(b"\0")

    def wait(self, sock: socket | None, timeout: float) -> None:
        """Return when *sock* can be read, when it rings, or after *timeout* seconds."""
        if sock is None:
            return  # it was lost: whoever reads it connects again
        with DefaultSelector() as selector:
            selector.register(sock, EVENT_READ)
            selector.register(self._inside, EVENT_READ)
            selector.select(timeout)
        with suppress(BlockingIOError):
            self._inside.recv(4096)

    def close(self) -> None:
        """Close both sockets."""
        with self._lock:
            self._inside.close()
            self._outside.close()
