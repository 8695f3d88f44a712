"""A model server in a process of its own, from a virtual environment of its own."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import venv
from abc import abstractmethod
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from sandbox.server import ROOT, Server, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

KEY = "sk-own-server"
#: Nothing may be fetched at run time, and nothing may be reported to anyone.
_QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"}


class OwnServer(Server):
    """One server that listens on a free port of 127.0.0.1.

    *folder* keeps the environment and the model between runs. The server ends with the thread that starts it.
    """

    #: What the table calls it, and its folder's name.
    name: str
    packages: Sequence[str]
    #: Variables for the installation of its packages.
    build: Mapping[str, str] = MappingProxyType({})
    #: What its packages need only by name.
    without: Sequence[str] = ()
    #: The model that it has.
    model: str
    key = KEY
    #: Answers 200 as soon as the model is loaded.
    ready_path = "/health"
    _ready_seconds = 300.0

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.options = options
        self.environment = Environment(self.folder / "env", self.name)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self.port

    @property
    def url(self) -> str:
        """The value of OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def version(self) -> str:
        """The version of its package."""
        return self.environment.version(self.packages[0])

    def close(self) -> None:
        """Stop the server for good; its folder stays."""
        self.stop()

    def kill(self) -> None:
        """Kill the server and its own processes."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        super().kill()

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the command that starts it; make what it needs first."""

    def variables(self) -> Mapping[str, str]:
        """Return further variables of its environment."""
        return {}

    def _run(self) -> subprocess.Popen[bytes]:
        self.environment.install(self.packages, self.build, self.without)
        wrapper = [sys.executable, "-S", "-m", "sandbox.run_with_parent", "--"]
        own = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        with (self.folder / "server.log").open("ab") as log:
            return subprocess.Popen(
                [*wrapper, *map(str, self.command()), *self.options],
                cwd=ROOT,
                env={**own, **_QUIET, **self.variables()},
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def _answers(self) -> bool:
        asked = http.client.HTTPConnection(*self.address, timeout=2)
        with suppress(OSError, http.client.HTTPException):
            asked.request("GET", self.ready_path, headers={"Authorization": f"Bearer {self.key}"})
            return asked.getresponse().status == http.HTTPStatus.OK
        return False

    def _said(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")[-2000:]


class Environment:
    """A virtual environment in *folder*; packages are installed into it once."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self._name = folder, name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def install(
        self, packages: Sequence[str], variables: Mapping[str, str], without: Sequence[str] = ()
    ) -> None:
        """Install the packages, unless this was done before; remove those that they need only by name.

        Raises:
            subprocess.CalledProcessError: the log beside the environment ends with the reason.
        """
        done = self.folder / "installed"
        if done.exists() and done.read_text() == "\n".join(packages):
            return
        venv.create(self.folder, with_pip=True)
        print(f"installing {self._name}: {' '.join(packages)} ...", flush=True)
        with self.folder.with_suffix(".log").open("ab") as log:
            subprocess.run(
                [self.python, "-m", "pip", "install", *packages],
                check=True,
                env={**os.environ, **variables},
                stdout=log,
                stderr=log,
            )
        if without:
            self.run("-m", "pip", "uninstall", "--yes", *without)
        done.write_text("\n".join(packages))

    def run(self, *arguments: str) -> str:
        """Run its interpreter; return what it prints."""
        command = [str(self.python), *arguments]
        return subprocess.check_output(command, cwd=ROOT, text=True)

    def version(self, package: str) -> str:
        """Return the installed version of a package."""
        name = package.partition("[")[0]
        return self.run("-c", f"import importlib.metadata as m; print(m.version({name!r}), end='')")
