"""Starts, stops and kills a server process that ends with this process."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Self

ROOT = Path(__file__).parents[1]
#: Below the ports that Linux gives to connections.
_PORTS = range(15_000, 32_000)


class ServerNotReady(RuntimeError):
    """The server ended, or did not reply in time; the text is the end of its log."""


class Server(ABC):
    """One server process. It can be stopped and started again on the same data and ports."""

    _ready_seconds, _poll_seconds, _stop_seconds = 60.0, 0.01, 30.0
    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        """Start the server on its data and ports; return when it replies.

        Raises:
            ServerNotReady: it did not reply in time.
        """
        if self._process is None:
            self._process = self._run()
            self._wait_until_ready(self._process, monotonic() + self._ready_seconds)

    def stop(self) -> None:
        """Stop the server with SIGTERM, so that it saves its data first; kill it if that takes too long."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self._stop_seconds)
        self.kill()

    def kill(self) -> None:
        """Kill the server with SIGKILL. Data that it has not yet written to disk may be lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @abstractmethod
    def close(self) -> None:
        """Stop the server for good."""

    @abstractmethod
    def _run(self) -> subprocess.Popen[bytes]: ...

    @abstractmethod
    def _answers(self) -> bool: ...

    @abstractmethod
    def _said(self) -> str: ...

    def _wait_until_ready(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        while not self._answers():
            try:
                process.wait(self._poll_seconds)
            except subprocess.TimeoutExpired:
                if monotonic() < deadline:
                    continue
            self.kill()
            raise ServerNotReady(self._said())


def free_port(wanted: int = 0) -> int:
    """Return a port of 127.0.0.1 that stays this process's own: for a server that reuses addresses.

    The kernel gives it to no connection. On Linux no other caller of this function gets it. It is *wanted*
    where no process has that.
    """
    while True:
        port, claim = wanted or secrets.choice(_PORTS), socket.socket()
        if wanted:
            # Else connections that have ended keep the port for a minute. A server that listens keeps it.
            claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wanted = 0
        try:
            claim.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        if sys.platform != "linux":
            # Elsewhere the claim would keep its own server off the port too.
            claim.close()
            return port
        # Set after the bind: another claim of the port fails, and the server's own bind does not.
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Open until this process ends: a server that is down for a while needs its port again.
        claim.detach()
        return port
