"""A provider that takes 10 requests a second: how long 200 rows take, beside the least that it allows.

Real workers and the stand-in of the model. There is no rival: plain Celery loses the rows that are refused.
"""

from __future__ import annotations

import json
import time
from threading import Event
from typing import TYPE_CHECKING

from sandbox.machine import Machine, stop

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.measure import Table

_RATE = 10
_SLOTS = 64
#: The most of its own time that so many rows may take, without and with a wish of the provider.
_GOALS = {200: (1.4, 1.4), 2000: (1.2, 1.15)}
_MOST_REFUSED = 0.15


def run(table: Table, *, rows: int = 200) -> None:
    """Measure one worker without and with ``Retry-After``, then four workers of which one is killed."""
    plain, wished = _GOALS.get(rows, (1.4, 1.4))
    table.title(f"{rows} rows at {_RATE} requests a second; ratio to the provider's own {rows / _RATE:.0f} s")
    _measure(table, "64 threads", rows, plain, {})
    _measure(table, "64 threads, Retry-After", rows, wished, {"llm_retry_after": "seconds"})
    _measure(table, "4 workers of 16, one killed", rows, plain, {}, workers=4)


def _measure(
    table: Table, name: str, rows: int, goal: float, settings: Mapping[str, object], *, workers: int = 1
) -> None:
    with Machine(env={"JOB_LEASE": "5"}) as machine:
        behaviour = {"llm_requests_per_second": _RATE, "llm_latency": 0.3, "llm_rate_headers": False}
        machine.control(**behaviour, **settings)
        file = meetings(machine.folder / "rows.jsonl", rows)
        for number in range(workers):
            machine.start_worker("-c", str(_SLOTS // workers), name=f"worker{number}")
        began = time.perf_counter()
        producer = machine.submit(
            "meetings.extract", file, "--wait", "--timeout", str(rows), output=file.with_suffix(".out")
        )
        if workers > 1:
            # While it has no free slot. One that is killed as it takes a message loses that one,
            # and what is measured is then the queue deadline.
            Event().wait(rows / _RATE / 2)
            machine.workers[0].kill()
        producer.wait()
        seconds, calls = time.perf_counter() - began, machine.ledger.openai
        stop(machine.workers[0])
    refused = calls.refused / max(calls.calls, 1)
    table.at_most(name, seconds * _RATE / rows, goal, f"{seconds:.1f} s")
    table.at_most("  requests that were refused", refused, _MOST_REFUSED, f"{calls.refused} of {calls.calls}")
    answered = len(calls.by_content)
    table.at_least("  rows that were answered", answered / rows, 1.0, f"{answered}")


def meetings(file: Path, rows: int) -> Path:
    lines = (
        {"meeting_id": f"m{number}", "transcript": f"Ann: this is point {number}.\nBob: agreed."}
        for number in range(rows)
    )
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file
