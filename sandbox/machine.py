"""Everything on one bare machine: records and broker, the outside, workers; nothing outlives it."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Self

from sandbox.outside import ledger
from sandbox.valkey import Valkey

ROOT = Path(__file__).parents[1]
SAMPLES = Path(__file__).parent / "samples"
#: Only a process that hangs takes so long: one that ends is noticed at once.
_READY_SECONDS = 120.0
_STOP_SECONDS = 60.0


class NotReady(RuntimeError):
    """A process ended, or did not say that it is ready; the text is the end of its log."""


class Machine:
    """One sandbox; a context manager. Start it from the main thread: children watch that thread.

    *folder* keeps data and logs, else they are deleted at the end. *outside* are options of the
    stand-in server, such as ``{"latency": 0.05}``. *env* adds to the environment of every process.
    *broker* is where messages go if that is another server than the records'.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        outside: Mapping[str, object] | None = None,
        env: Mapping[str, str] | None = None,
        broker: str | None = None,
    ) -> None:
        self._stack = ExitStack()
        self._kept = folder
        self._outside, self._extra = dict(outside or {}), dict(env or {})
        self._broker = broker
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = tempfile.TemporaryDirectory(prefix="askonce-sandbox-")
            self.folder = self._kept or Path(stack.enter_context(temporary))
            self.folder.mkdir(parents=True, exist_ok=True)
            self.valkey = stack.enter_context(Valkey(self.folder / "valkey", tcp=True))
            self.urls = self._start_outside(stack)
            stack.callback(self.stop_workers)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def ledger(self) -> ledger.Ledger:
        """What the outside was asked so far."""
        return ledger.read(self.folder / "ledger")

    @property
    def env(self) -> dict[str, str]:
        """The environment of every process here; the caller's own settings do not leak in."""
        own = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "OPENAI_API_KEY"}
        return {
            **{name: value for name, value in os.environ.items() if name in own},
            "ENV_FILE": "",
            "PYTHONUNBUFFERED": "1",
            "REDIS_URL": self.valkey.url,
            "CELERY_BROKER_URL": self._broker or self.valkey.broker_url,
            "CUSTOMER_API_URL": self.urls["customer_api_url"],
            "OPENAI_BASE_URL": self.urls["openai_base_url"],
            "LLM_API": "responses",
            "OPENAI_API_KEY": "sk-sandbox",
            **self._extra,
        }

    def control(self, **changes: object) -> dict[str, object]:
        """Change how the outside behaves; return its settings and the number of calls it holds."""
        url = f"{self.urls['customer_api_url']}/control"
        data = json.dumps(changes).encode() if changes else None
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as answer:  # noqa: S310  # our own server
            return dict(json.load(answer))

    def wait_for_held(self, calls: int, seconds: float) -> bool:
        """Wait until the outside holds *calls* calls back; tell whether it did in time."""
        url = f"{self.urls['customer_api_url']}/control?held={calls}&seconds={seconds}"
        with urllib.request.urlopen(url, timeout=seconds + 60) as answer:  # noqa: S310  # our own server
            return int(json.load(answer)["held"]) >= calls

    def start_worker(
        self, *options: str, name: str = "worker", env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start ``celery worker`` with *options*, *env* added, and return once it takes messages."""
        log = self.folder / f"{name}.log"
        command = [
            "-m",
            "celery",
            "-A",
            "worker.app",
            "worker",
            "--loglevel",
            "INFO",
            "--hostname",
            f"{name}@%h",
        ]
        worker = self.spawn(*command, "--without-gossip", "--without-mingle", *options, log=log, env=env)
        self.workers.append(worker)
        wait_for(lambda: b"ready." in log.read_bytes(), worker, log)
        return worker

    def spawn(
        self, *arguments: str, log: Path, ended_by: str = "SIGTERM", env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start this Python with *arguments*; signal *ended_by* comes when this process is gone."""
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
        """Start a producer that submits *file* to *task*; its reports go to *output*."""
        command = [sys.executable, "-m", "producer", "submit", task, str(file), "--json", *options]
        with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
            return subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=out, stderr=err)

    def stop_workers(self) -> None:
        """Let every worker finish what it has; the second signal does not ask again."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            stop(worker)
        self.workers.clear()

    def _start_outside(self, stack: ExitStack) -> dict[str, str]:
        options = {"ledger": self.folder / "ledger", "customers": SAMPLES / "customers.csv", **self._outside}
        flags = [
            part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))
        ]
        command = [sys.executable, "-m", "sandbox.outside.stand_in", *flags]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        stack.callback(stop, process)
        assert process.stdout is not None
        stack.callback(process.stdout.close)
        line = process.stdout.readline()
        if not line:
            raise NotReady("the stand-in server ended at its start")
        return {name: str(value) for name, value in json.loads(line).items()}


def wait_for(
    condition: Callable[[], bool],
    process: subprocess.Popen[bytes],
    log: Path,
    seconds: float = _READY_SECONDS,
) -> None:
    """Wait until *condition* holds.

    Raises:
        NotReady: *process* ended first, or it took longer than *seconds*.
    """
    deadline, pause = time.monotonic() + seconds, Event()
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotReady(log.read_text(errors="replace")[-2000:])
        pause.wait(0.02)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End *process*: politely, then not."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
