"""Sends 100 meetings through a real worker of 64 threads to a server with four slots, and counts.

Requests beyond the slots wait in the server, inside ``LLM_TIMEOUT``. The question is how many were open at
once, how many were sent again, and whether every row has its answer at the end.

With an outage the server ends in the middle of the batch, and is started again after that many seconds.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from contextlib import ExitStack
from threading import Event
from typing import TYPE_CHECKING, Final

from benchmarks.own_servers.tap import Tap
from sandbox.machine import Machine

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from benchmarks.own_servers.own import OwnServer

ROWS: Final = 100
_THREADS: Final = 64
_PATIENCE: Final = 1_800.0
#: A worker's line about a job: the event, and its reason where it has one.
_EVENT: Final = re.compile(r" (job\.\w+) (?:.* reason=(\S+))?")


def try_rows(server: OwnServer, timeout: float, outage: float | None = None, *, stop: bool = False) -> int:
    """Print the answers, the requests and the events of one batch; return 1 if a row has no answer.

    *timeout* is ``LLM_TIMEOUT``; *outage* is in seconds. With *stop* the server is asked to end.
    """
    with ExitStack() as stack:
        tap = stack.enter_context(Tap(stack.enter_context(server).address))
        machine = stack.enter_context(Machine(env=_variables(server, tap, timeout)))
        machine.start_worker("--pool", "threads", "--concurrency", str(_THREADS))
        meetings, output = machine.folder / "rows.jsonl", machine.folder / "reports.jsonl"
        _write(meetings)
        wait = ("--wait", "--timeout", f"{_PATIENCE:g}")
        began = time.monotonic()
        batch = machine.submit("meetings.extract", meetings, *wait, output=output)
        if outage is not None:
            _wait_for_a_fifth(tap, batch)
            _break(server, tap, outage, stop=stop)
        if batch.wait(_PATIENCE + 60) > 1:
            print(output.with_suffix(".err").read_text())
        seconds = time.monotonic() - began
        with output.open(encoding="utf-8") as lines:
            reports = [json.loads(line) for line in lines]
        events = _events(machine.folder / "worker.log")
    ends = Counter(_end(report) for report in reports)
    print(f"{server.name} {server.version}: {ROWS} rows, {_THREADS} threads, LLM_TIMEOUT {timeout:g} s")
    print(f"  answers {dict(ends)}")
    sent, replies = len(tap.requests()), dict(Counter(tap.statuses()))
    print(f"  requests {sent}, at most {tap.most_open} at once, replies {replies}, {seconds:.0f} s")
    print(f"  events {dict(events)}")
    return 0 if ends["done"] == ROWS else 1


def _wait_for_a_fifth(tap: Tap, batch: subprocess.Popen[bytes]) -> None:
    never = Event()
    while len(tap.statuses()) < ROWS // 5 and batch.poll() is None:
        never.wait(0.05)


def _break(server: OwnServer, tap: Tap, seconds: float, *, stop: bool) -> None:
    """End the server, and start it again."""
    if stop:
        # A server that ends takes no new connection.
        tap.close()
        server.stop()
    else:
        server.kill()
        tap.close()
    Event().wait(seconds)
    server.start()
    tap.open()


def _variables(server: OwnServer, tap: Tap, timeout: float) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": f"{tap.url}/v1",
        "OPENAI_API_KEY": server.key,
        "OPENAI_MODEL": server.model,
        "LLM_API": "chat",
        "LLM_TIMEOUT": f"{timeout:g}",
    }


def _write(file: Path) -> None:
    lines = (
        f"Ana: We ship part {number} on Monday. Ben: I will write note {number}." for number in range(ROWS)
    )
    rows = ({"meeting_id": f"m{number}", "transcript": line} for number, line in enumerate(lines))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _end(report: dict[str, object]) -> str:
    error = report.get("error")
    reason = error.get("reason") or error.get("error") if isinstance(error, dict) else None
    return f"{report['status']} {reason}" if reason else str(report["status"])


def _events(log: Path) -> Counter[str]:
    """Count the worker's lines of each event and reason."""
    found = (_EVENT.search(line) for line in log.read_text(errors="replace").splitlines())
    return Counter(" ".join(filter(None, event.groups())) for event in found if event)
