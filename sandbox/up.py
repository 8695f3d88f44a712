"""Runs everything on this machine until Ctrl-C, and prints the addresses."""

import shlex
import signal
import socket
from pathlib import Path
from threading import Event

from sandbox.machine import ROOT, Machine, NotReady, wait_for


def run() -> int:
    """Start everything, print the addresses, wait for a signal, stop everything."""
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with Machine(outside={"latency": 0.05, "llm_latency": 0.5}) as machine:
        worker = machine.start_worker()
        flower = _start_flower(machine)
        _print_addresses(machine, flower)
        while worker.poll() is None and not ended.wait(0.5):
            pass
        if worker.poll() is not None:
            raise NotReady((machine.folder / "worker.log").read_text(errors="replace")[-2000:])
        print("stopping")
    return 0


def _start_flower(machine: Machine) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = machine.folder / "flower.log"
    options = ["--address=127.0.0.1", f"--port={port}", "--read_only"]
    # SIGKILL: Flower has nothing to finish, and after SIGTERM it waits for replies of a broker that is gone.
    command = ["-m", "celery", "-A", "worker.app", "flower", *options]
    flower = machine.spawn(*command, log=log, ended_by="SIGKILL")
    machine.workers.append(flower)
    wait_for(lambda: b"Connected to" in log.read_bytes(), flower, log)
    return f"http://127.0.0.1:{port}"


def _print_addresses(machine: Machine, flower: str) -> None:
    names = ("REDIS_URL", "CELERY_BROKER_URL", "CUSTOMER_API_URL", "OPENAI_BASE_URL", "OPENAI_API_KEY")
    print(f"Flower        {flower}")
    print(f"stand-ins     {machine.urls['customer_api_url']}")
    print(f"logs, ledger  {machine.folder}")
    print("\nSubmit jobs from another shell, in this folder:\n")
    print("  export " + " ".join(f"{name}={shlex.quote(machine.env[name])}" for name in names))
    sample = Path("sandbox/samples/orders.jsonl")
    assert (ROOT / sample).exists()
    print(f"  python -m producer submit orders.enrich {sample} --wait\n")
    print("Ctrl-C stops everything.", flush=True)
