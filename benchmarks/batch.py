"""Batch: a file of rows of 50 ms each, cold and again, beside async-batch-llm with a checkpoint.

Both call the same stand-in of a model, 64 calls at once. askonce's worker and its server run before the first
row comes. The library has neither: its command makes the calls itself, and keeps the answers in a file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.provider import meetings
from sandbox.machine import ROOT, Machine

if TYPE_CHECKING:
    from benchmarks.measure import Table

ROWS, CONCURRENCY = 2000, 64
_SECONDS = 0.05
_RIVAL = "async-batch-llm"


class _Figure(NamedTuple):
    seconds: float
    calls: int
    #: Bytes that the command's own process had at most.
    memory: int


def run(table: Table, *, rows: int = ROWS) -> None:
    """Measure both, each with rows that it has never seen, then with the same rows again."""
    table.title(f"{rows} rows of {_SECONDS * 1000:.0f} ms, {CONCURRENCY} calls at once; whole commands")
    with Machine(outside={"llm_latency": _SECONDS}) as machine:
        file = meetings(machine.folder / "rows.jsonl", rows)
        machine.start_worker("-P", "threads", "-c", str(CONCURRENCY))
        figures = {
            f"askonce, {when}": _command(machine, _submit(file, f"{when}.jsonl"))
            for when in ("cold", "again")
        }
        others = sum(map(_most_memory, (machine.workers[0].pid, machine.valkey.pid)))
        if find_spec("async_batch_llm") is not None:
            rival = ["-m", "benchmarks.batch_rival", str(file), str(machine.folder / "checkpoint.jsonl")]
            for when in ("cold", "again"):
                figures[f"{_RIVAL}, {when}"] = _command(machine, rival)
    for name, (seconds, calls, memory) in figures.items():
        table.line(name, f"{seconds:.1f} s", f"{calls} calls   {memory / 1e6:.0f} MB")
    table.line("  beside askonce's: worker and server", "", f"{others / 1e6:.0f} MB")
    if find_spec("async_batch_llm") is None:
        table.line(_RIVAL, "skipped", "it is not installed: see requirements/bench.txt")


def _submit(file: Path, out: str) -> list[str]:
    options = ["-o", str(file.with_name(out)), "--quiet", "--yes"]
    return ["-m", "producer", "submit", "meetings.extract", str(file), *options]


def _command(machine: Machine, arguments: list[str]) -> _Figure:
    """Run this Python with *arguments* to its end."""
    before, began = machine.ledger.openai.calls, time.perf_counter()
    environment = {**machine.env, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    memory = machine.folder / "memory"
    measured = ["-S", "-m", "benchmarks.peak", str(memory), sys.executable, *arguments]
    ended = subprocess.run([sys.executable, *measured], cwd=ROOT, env=environment, check=False).returncode
    if ended:
        raise RuntimeError(f"{' '.join(arguments[:3])} ended with {ended}")
    calls = machine.ledger.openai.calls - before
    return _Figure(time.perf_counter() - began, calls, int(memory.read_text()))


def _most_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
