"""Starts everything on one machine: Valkey, the stand-ins and workers; all of them end with this process."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from threading import Event
from typing import Self

from sandbox.outside import ledger, openai_wire
from sandbox.outside.process import Outside
from sandbox.server import free_port
from sandbox.valkey import Valkey

ROOT = Path(__file__).parents[1]
SAMPLES = Path(__file__).parent / "samples"
#: Only a process that hangs takes so long: one that ends is noticed at once.
_READY_SECONDS = 120.0
_STOP_SECONDS = 60.0


class NotReady(RuntimeError):
    """A process ended, or was not ready in time; the text is the end of its log."""


class Machine:
    """One sandbox, a context manager. Start it from the main thread: its processes end with that thread.

    *folder* holds data and logs; without it they are deleted at the end.
    *outside* are options and settings of the stand-ins, for example ``{"latency": 0.05, "llm_slots": 4}``.
    *env* is added to the environment of every process.
    *broker* is the address of the broker; without it the broker is the store's server.
    *port_of* gives a port to each of ``valkey`` and ``outside``.
    *step* is entered for each part that starts, and left when it is ready.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        outside: Mapping[str, object] | None = None,
        env: Mapping[str, str] | None = None,
        broker: str | None = None,
        port_of: Callable[[str], int] = lambda _: free_port(),
        step: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._stack = ExitStack()
        self._kept = folder
        self._options, self._extra = dict(outside or {}), dict(env or {})
        self._broker = broker
        self._port_of, self.step = port_of, step
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = tempfile.TemporaryDirectory(prefix="askonce-sandbox-")
            self.folder = self._kept or Path(stack.enter_context(temporary))
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.step("Valkey"):
                valkey = Valkey(self.folder / "valkey", port=self._port_of("valkey"))
                self.valkey = stack.enter_context(valkey)
            own = {"customers": SAMPLES / "customers.csv", "port": self._port_of("outside")}
            #: The stand-ins; stop and start them for an outage in which their port refuses connections.
            self.outside = Outside(self.folder / "ledger", {**own, **self._options})
            with self.step("stand-ins"):
                stack.enter_context(self.outside)
            stack.callback(self.stop_workers)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def ledger(self) -> ledger.Ledger:
        """The calls that the stand-ins received so far."""
        return ledger.read(self.folder / "ledger")

    @property
    def env(self) -> dict[str, str]:
        """The environment of every process, without the settings of the shell that runs this."""
        own = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "OPENAI_API_KEY"}
        return {
            **{name: value for name, value in os.environ.items() if name in own},
            "ENV_FILE": "",
            "PYTHONUNBUFFERED": "1",
            "LOG_FORMAT": "console",
            "REDIS_URL": self.valkey.url,
            "CELERY_BROKER_URL": self._broker or self.valkey.broker_url,
            "CUSTOMER_API_URL": self.outside.url,
            "OPENAI_BASE_URL": f"{self.outside.url}/v1",
            "LLM_API": "responses",
            "LLM_PRICES": json.dumps({openai_wire.MODEL: dict(openai_wire.PRICE)}),
            "LLM_MAX_OUTPUT_TOKENS": "8192",
            "OPENAI_API_KEY": "sk-sandbox",
            **self._extra,
        }

    def control(self, **changes: object) -> dict[str, object]:
        """Change how the stand-ins behave; return their settings and the number of calls they hold."""
        return self.outside.control(**changes)

    def wait_for_held(self, calls: int, seconds: float) -> bool:
        """Wait until the stand-ins hold *calls* calls; return False after *seconds*."""
        return self.outside.wait_for_held(calls, seconds)

    def start_worker(
        self, *options: str, name: str = "worker", env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start ``celery worker`` with *options* and *env*; return when it consumes messages."""
        named = ["--hostname", f"{name}@%h", "--without-gossip", "--without-mingle"]
        command = ["worker", "--loglevel", "INFO", *named, *options]
        return self.start_celery(*command, name=name, ready=b"ready.", env=env)

    def start_beat(self, *options: str) -> subprocess.Popen[bytes]:
        """Start ``celery beat`` with *options*; return when its schedule is set up."""
        command = ["beat", "--loglevel", "INFO", "--schedule", str(self.folder / "beat-schedule"), *options]
        return self.start_celery(*command, name="beat", ready=b"beat: Starting")

    def start_celery(
        self,
        *command: str,
        name: str,
        ready: bytes,
        ended_by: str = "SIGTERM",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start ``celery`` with *command*; return when its log, named *name*, says *ready*."""
        log = self.folder / f"{name}.log"
        # A folder that is kept has what the last one said.
        known = log.stat().st_size if log.exists() else 0
        process = self.spawn(
            "-m", "celery", "-A", "worker.app", *command, log=log, ended_by=ended_by, env=env
        )
        self.workers.append(process)
        wait_for(lambda: ready in log.read_bytes()[known:], process, log)
        return process

    def spawn(
        self, *arguments: str, log: Path, ended_by: str = "SIGTERM", env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start this Python with *arguments*; it receives signal *ended_by* when this process ends."""
        wrapper = [sys.executable, "-m", "sandbox.run_with_parent", ended_by, "--"]
        command = [*wrapper, sys.executable, *arguments]
        with log.open("ab") as out:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self.env, **(env or {})},
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
            )

    def submit(self, task: str, file: Path, *options: str, output: Path) -> subprocess.Popen[bytes]:
        """Start a producer that submits *file* to *task* and writes its reports to *output*."""
        command = [sys.executable, "-m", "producer", "submit", task, str(file), "--json", *options]
        with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
            return subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=out, stderr=err)

    def stop_workers(self) -> None:
        """Stop every worker after its current jobs, and beat; kill it if that takes too long."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            stop(worker)
        self.workers.clear()


def wait_for(
    condition: Callable[[], bool],
    process: subprocess.Popen[bytes],
    log: Path,
    seconds: float = _READY_SECONDS,
) -> None:
    """Wait until *condition* holds.

    Raises:
        NotReady: *process* ended first, or *seconds* have passed.
    """
    deadline, pause = time.monotonic() + seconds, Event()
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotReady(read_end(log))
        pause.wait(0.02)


def read_end(log: Path) -> str:
    """Return the end of *log*."""
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]


def stop(process: subprocess.Popen[bytes]) -> None:
    """End *process* with SIGTERM; kill it if that takes too long."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
