"""Runs everything on this machine until Ctrl-C, and prints the addresses."""

import shlex
import signal
import socket
from threading import Event

from sandbox.machine import ROOT, SAMPLES, Machine, NotReady, wait_for
from sandbox.outside import openai_wire

_ORDERS = SAMPLES / "orders.jsonl"


def run() -> int:
    """Start everything, print the addresses, wait for a signal, stop everything."""
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    outside = {"latency": 0.05, "llm_latency": 0.5}
    env = {"ORDERS_FILE": str(_ORDERS), "OPENAI_MODEL": openai_wire.MODEL}
    with Machine(outside=outside, env=env) as machine:
        running = {"worker": machine.start_worker(), "beat": machine.start_beat()}
        flower = _start_flower(machine)
        _print_addresses(machine, flower)
        while not ended.wait(0.5):
            for name, process in running.items():
                if process.poll() is not None:
                    raise NotReady((machine.folder / f"{name}.log").read_text(errors="replace")[-2000:])
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
    outside = ("CUSTOMER_API_URL", "OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL")
    names = ("REDIS_URL", "CELERY_BROKER_URL", *outside)
    print(f"Flower        {flower}")
    print(f"stand-ins     {machine.outside.url}")
    print(f"logs, ledger  {machine.folder}")
    print("\nSubmit jobs from another shell, in this folder:\n")
    print("  export " + " ".join(f"{name}={shlex.quote(machine.env[name])}" for name in names))
    print(f"  python -m producer submit orders.enrich {_ORDERS.relative_to(ROOT)} --wait\n")
    print("The scheduler enqueues these orders every night at 3:00 UTC. At once:\n")
    print("  celery -A worker.app call orders.reprocess\n")
    print("Ctrl-C stops everything.", flush=True)
