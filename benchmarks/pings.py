"""Another client of the server: a process of its own that sends PING all the time, and times each reply."""

from __future__ import annotations

import multiprocessing
import socket
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlparse

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: Seconds between two of them: a client that never rests would take a core from the others.
_PAUSE = 0.001


class Pings:
    """Sends PING while its block runs; then *seconds* has the time of each reply."""

    def __init__(self, url: str) -> None:
        self.seconds: list[float] = []
        context = multiprocessing.get_context("spawn")
        self._ended, (self._here, there) = context.Event(), context.Pipe()
        self._process = context.Process(target=_ping, args=(url, self._ended, there), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._here.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.seconds = self._here.recv()
        self._process.join()


def _ping(url: str, ended: Any, results: Connection) -> None:
    where = urlparse(url)
    with socket.create_connection((where.hostname, where.port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        results.send("ready")
        taken = []
        while not ended.wait(_PAUSE):
            began = time.perf_counter()
            link.sendall(b"PING\r\n")
            link.recv(64)
            taken.append(time.perf_counter() - began)
    results.send(taken)
