"""Runs one RabbitMQ server that belongs to this process and dies with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.server import ROOT, Server, ServerNotReady, free_port
from tests.deadlines import stretched

if TYPE_CHECKING:
    from collections.abc import Mapping

_ASK_SECONDS = 60.0
#: Debian's ``rabbitmq-server`` on PATH changes the user and the folder; this is what it calls.
_DEBIANS = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_CONFIGURATION = """
listeners.tcp.1 = 127.0.0.1:{port}
log.console = true
log.console.level = warning
log.file = false
"""
_NEW_HOST = """
rabbit_vhost:add(<<"{name}">>, <<"guest">>),
All = <<".*">>, Guest = <<"guest">>,
rabbit_auth_backend_internal:set_permissions(Guest, <<"{name}">>, All, All, All, Guest).
"""


def find_server() -> Path | None:
    """Return the server's start script: the one ``RABBITMQ_SERVER`` names, Debian's, or one on PATH."""
    named = os.environ.get("RABBITMQ_SERVER") or (_DEBIANS if _DEBIANS.exists() else None)
    found = named or shutil.which("rabbitmq-server")
    return Path(found) if found else None


class RabbitMQ(Server):
    """One server on ports of 127.0.0.1 that the kernel picks, with its data in a temporary folder.

    It has an Erlang port mapper of its own: the machine's would outlive both. Start it from a thread that
    lasts: both end with that thread. *options* are further lines of the server's configuration, *plugins* are
    switched on.
    """

    #: Erlang takes seconds to start, and much longer on a machine that is busy.
    _ready_seconds, _poll_seconds, _stop_seconds = 90.0, 0.05, 20.0

    def __init__(
        self, *, binary: Path | None = None, options: str = "", plugins: tuple[str, ...] = ()
    ) -> None:
        found = binary or find_server()
        if found is None:
            raise ServerNotReady("no rabbitmq-server on PATH; RABBITMQ_SERVER may name one")
        self._binary = found
        self.folder = Path(tempfile.mkdtemp(prefix="askonce-rabbitmq-"))
        self.port, self._mapper_port, self._node_port = free_port(), free_port(), free_port()
        self._node = f"askonce-{os.getpid()}-{self.port}@localhost"
        self._log, self._lines = self.folder / "log", f"{_CONFIGURATION.format(port=self.port)}{options}\n"
        self._hosts, self._plugins = count(1), plugins
        self._mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where Celery finds the server's first virtual host."""
        return self.url_of("/")

    @property
    def mapper_pid(self) -> int:
        """The process id of its port mapper."""
        assert self._mapper is not None, "not started"
        return self._mapper.pid

    def url_of(self, host: str, port: int | None = None) -> str:
        """Return where Celery finds virtual *host*; *port* is a proxy's, where one stands before it."""
        return f"amqp://guest:guest@127.0.0.1:{port or self.port}/{'' if host == '/' else host}"

    def new_host(self) -> str:
        """Make a virtual host, which has no queue yet, and return its name."""
        name = f"h{next(self._hosts)}"
        self.ask("eval", _NEW_HOST.format(name=name))
        return name

    def ask(self, *command: str) -> str:
        """Run ``rabbitmqctl`` with *command*; what it printed.

        Raises:
            subprocess.CalledProcessError: it refused.
        """
        control = [str(self._binary.with_name("rabbitmqctl")), "--quiet", *command]
        done = subprocess.run(
            control,
            env=self._env,
            cwd=self.folder,
            capture_output=True,
            timeout=stretched(_ASK_SECONDS),
            check=True,
        )
        return done.stdout.decode()

    def close(self) -> None:
        """Stop the server for good and delete its data."""
        self.stop()
        self._end_mapper()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self) -> subprocess.Popen[bytes]:
        (self.folder / "rabbitmq.conf").write_text(self._lines)
        (self.folder / "plugins").write_text(f"[{','.join(self._plugins)}].\n")
        if self._mapper is None:
            mapper = shutil.which("epmd")
            if mapper is None:
                raise ServerNotReady("no epmd on PATH, Erlang's port mapper")
            self._mapper = self._spawn(mapper, "-address", "127.0.0.1", "-port", str(self._mapper_port))
        return self._spawn(str(self._binary))

    def _end_mapper(self) -> None:
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()
            self._mapper = None

    @property
    def _env(self) -> Mapping[str, str]:
        folder = self.folder
        return {
            "PATH": os.environ["PATH"],
            # The script becomes the server itself, so that its process id, and who ends it, stay the same.
            "detached": "1",
            # Erlang keeps a secret here that the server and its control share.
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            # No dump of a crash: the log says why.
            "ERL_CRASH_DUMP_SECONDS": "0",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            # The machine's own settings are not for us.
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CTL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        # An Erlang that gets SIGTERM takes its time; its parent is gone, and nobody needs the data.
        wrapper = [sys.executable, "-S", "-m", "sandbox.run_with_parent", "SIGKILL", "--"]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*wrapper, *command],
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is for its owner, who may still need it
            )

    def _said(self) -> str:
        self._end_mapper()
        said = self._log.read_text(errors="replace")
        # What it says last is how Erlang ends, not why.
        return said[max(0, said.find("[error]")) :][:2000]

    def _answers(self) -> bool:
        # An open port is not enough: the server lets in nobody before its queues are there.
        from amqp import Connection
        from amqp.exceptions import AMQPError

        try:
            with Connection(f"127.0.0.1:{self.port}", connect_timeout=5.0):
                return True
        except (OSError, AMQPError):
            return False
