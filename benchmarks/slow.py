"""Slow calls: 2,000 of 5 s in one worker of 1,000 threads, beside plain Celery; seconds and memory."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median
from threading import Event
from typing import TYPE_CHECKING

from benchmarks.apps import once_call, plain_call
from benchmarks.measure import interleaved
from benchmarks.worker import JOBS, SHIPPED, drain, send_new, send_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from benchmarks.measure import Table

_POOL = ("-P", "threads", "-c", "1000")
_SECONDS = "5"
_PATIENCE = 120.0


def run(table: Table, *, rounds: int = 2) -> None:
    """Measure from the first job that is taken to the last one that is done."""
    os.environ["BENCH_CALL_SECONDS"] = _SECONDS
    memory: dict[str, float] = {}

    def watch(name: str) -> Callable[[redis.Redis, int], float]:
        return lambda client, pid: _watch(client, pid, name, memory)

    figures = interleaved(
        {
            "plain": drain(send_plain(plain_call), _POOL, watch=watch("plain")),
            "askonce": drain(send_new(once_call), _POOL, SHIPPED, watch=watch("askonce")),
        },
        rounds,
    )
    del os.environ["BENCH_CALL_SECONDS"]
    table.title(f"{JOBS} calls of {_SECONDS} s, threads of 1,000; ratio of the times, 10 s are the least")
    shown = {name: f"{median(each):.2f} s" for name, each in figures.items()}
    table.line("plain", shown["plain"], f"x 1.00   {memory.get('plain', 0):.0f} MB")
    ratio = median(ours / theirs for ours, theirs in zip(figures["askonce"], figures["plain"], strict=True))
    table.at_most(f"askonce   {memory.get('askonce', 0):.0f} MB", ratio, 1.05, shown["askonce"])


def _watch(client: redis.Redis, pid: int, name: str, memory: dict[str, float]) -> float:
    """Return the seconds that the worker needed, and keep the most memory that it used."""
    deadline, pause, began = time.monotonic() + _PATIENCE, Event(), 0.0
    while (waiting := client.llen("bench")) or client.exists("unacked"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{waiting} jobs are still in the queue")
        pause.wait(0.01)
        began = began or (time.perf_counter() if waiting < JOBS else 0.0)
    memory[name] = max(memory.get(name, 0.0), _megabytes(pid))
    return time.perf_counter() - began


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1000
