"""A server that belongs to this process and dies with it: how one is waited for, stopped and killed."""

from __future__ import annotations

import secrets
import socket
import subprocess
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Self

ROOT = Path(__file__).parents[1]
#: Below the ports that Linux gives to connections.
_PORTS = range(15_000, 32_000)


class ServerNotReady(RuntimeError):
    """The server ended, or did not answer in time; the text is what its log says of it."""


class Server(ABC):
    """One server process, started again on the same data and ports as often as wished."""

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
        """Start the server, or start it again on the same data and ports; return once it answers.

        Raises:
            ServerNotReady: it did not answer.
        """
        if self._process is None:
            self._process = self._run()
            self._wait_until_ready(self._process, monotonic() + self._ready_seconds)

    def stop(self) -> None:
        """End the server as an operator would: it writes down what it has first."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self._stop_seconds)
        self.kill()

    def kill(self) -> None:
        """End the server by SIGKILL; what its settings do not promise to keep may be lost."""
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


def free_port() -> int:
    """Return a free port of 127.0.0.1 that the kernel gives to no connection; another server may take it."""
    # A server that is started again needs its port again, so no connection may have taken it meanwhile.
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
