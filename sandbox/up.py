"""Runs everything on this machine until Ctrl-C, says what starts, and prints the addresses."""

import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from sandbox.folder import Folder, FolderUnusable
from sandbox.machine import ROOT, SAMPLES, Machine, NotReady, read_end
from sandbox.outside import openai_wire
from sandbox.server import ServerNotReady

#: In the project and unknown to git: a second sandbox finds the records and the ledger of the first.
FOLDER = ROOT / ".sandbox"
_ORDERS = SAMPLES / "orders.jsonl"
_FLOWER = ROOT / "deploy" / "flower" / "flowerconfig.py"


class _Stopped(Exception):
    """A signal came while the sandbox started."""


def run(path: Path = FOLDER, *, fresh: bool = False) -> int:
    """Start everything on the data in *path*, print the addresses, wait for a signal, stop everything.

    *fresh* deletes the data first. The data stays in *path* when the sandbox stops.
    """
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with Folder(path) as folder:
            if fresh:
                folder.clear()
            _run(folder, stopped)
    except _Stopped:
        _say("stopped")
    except NotReady as trouble:
        hint = "its logs are there, and --fresh begins without its data"
        print(f"{trouble} ({path.resolve()}: {hint})", file=sys.stderr)
        return 1
    except (FolderUnusable, OSError) as trouble:
        print(f"the sandbox cannot run: {trouble}", file=sys.stderr)
        return 1
    return 0


def _run(folder: Folder, stopped: Event) -> None:
    @contextmanager
    def step(name: str) -> Iterator[None]:
        if stopped.is_set():
            raise _Stopped
        began = time.monotonic()
        _say(f"starting {name}")
        try:
            yield
        except (NotReady, ServerNotReady) as exc:
            raise NotReady(_ended(f"{name} did not start", str(exc))) from exc
        _say(f"{name} ready after {time.monotonic() - began:.1f} s")

    outside = {"latency": 0.05, "llm_latency": 0.5}
    env = {"ORDERS_FILE": str(_ORDERS), "OPENAI_MODEL": openai_wire.MODEL}
    _say(f"data and logs are in {folder.path}")
    with Machine(folder.path, outside=outside, env=env, port_of=folder.port, step=step) as machine:
        with step("worker"):
            worker = machine.start_worker()
        with step("scheduler"):
            beat = machine.start_beat()
        with step("Flower"):
            flower = _start_flower(machine, folder.port("flower"))
        _print_addresses(machine, flower)
        while not stopped.wait(0.5):
            for name, process in {"worker": worker, "beat": beat}.items():
                if process.poll() is not None:
                    raise NotReady(_ended(f"{name} ended", read_end(machine.folder / f"{name}.log")))
        _say("stopping: the worker ends its calls")
    _say(f"stopped; the next sandbox goes on with {folder.path}, or deletes its data first with --fresh")


def _ended(what: str, log: str) -> str:
    """Return *what* happened and the last words of its *log*, in one line."""
    *_, last = ["no word of why", *filter(None, map(str.strip, log.splitlines()))]
    return f"{what}: {last}"


def _start_flower(machine: Machine, port: int) -> str:
    options = [f"--conf={_FLOWER}", "--address=127.0.0.1", f"--port={port}"]
    # SIGKILL: Flower has nothing to finish, and after SIGTERM it waits for replies of a broker that is gone.
    machine.start_celery("flower", *options, name="flower", ready=b"Connected to", ended_by="SIGKILL")
    return f"http://127.0.0.1:{port}"


def _print_addresses(machine: Machine, flower: str) -> None:
    model = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL", "LLM_PRICES", "LLM_MAX_OUTPUT_TOKENS")
    outside = ("CUSTOMER_API_URL", *model)
    names = ("REDIS_URL", "CELERY_BROKER_URL", *outside)
    print(f"\nFlower        {flower}")
    print(f"stand-ins     {machine.outside.url}")
    print(f"logs, ledger  {machine.folder}")
    print("\nSubmit jobs from another shell, in this folder:\n")
    print("  export " + " ".join(f"{name}={shlex.quote(machine.env[name])}" for name in names))
    print(f"  python -m producer submit orders.enrich {_ORDERS.relative_to(ROOT)} --wait\n")
    print("The scheduler enqueues these orders every night at 3:00 UTC. At once:\n")
    print("  python -m producer schedule run 'orders every night'\n")
    _say("Ctrl-C stops everything.")


def _say(words: str) -> None:
    # At once, also into a file.
    print(words, flush=True)
