"""A million: the memory of ``producer submit`` while it enqueues rows that no worker takes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.apps import URL, payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.measure import Table

ROWS = 1_000_000
#: Megabytes.
_MOST = 200
#: How much more memory a run may have at its end than after a tenth of its rows.
_MOST_GROWTH = 1.05
#: A run that waits keeps what it has to know of each row under way, so it gets so many times fewer rows.
_FEWER = 10


class _Moment(NamedTuple):
    """What a producer has done, and the memory that it has, in bytes."""

    rows: int
    under_way: int
    seconds: float
    memory: int


def run(table: Table, *, rows: int = ROWS) -> None:
    """Measure a run that enqueues all rows, of which 30 % are duplicates, then one that waits for a tenth."""
    with TemporaryDirectory() as folder:
        file = _file(Path(folder) / "rows.jsonl", rows)
        moments = list(_submit(file))
        under_way = _under_way(file, rows // _FEWER, Path(folder) / "out.jsonl")
    last = moments[-1]
    if last.rows != rows:
        raise RuntimeError(f"the run ended after {last.rows} rows")
    after_a_tenth = next(each.memory for each in moments if each.rows >= rows / 10)
    most = max(each.memory for each in moments)
    table.title(f"Memory of a producer: {rows:,} rows of 1 KB, 30 % duplicates, no worker, --max-queued 0")
    table.line("rows a second", f"{rows / last.seconds:,.0f}/s", f"{last.seconds:.0f} s")
    table.within("most memory", most / 1e6, _MOST, "MB")
    table.at_most("  beside that after a tenth of the rows", most / after_a_tenth, _MOST_GROWTH)
    each = (under_way.memory - after_a_tenth) / under_way.under_way
    figure = f"{under_way.memory / 1e6:.0f} MB"
    table.line(f"waiting for {under_way.under_way:,} rows (-o OUT)", figure, f"{each:,.0f} bytes a row")


def _file(file: Path, rows: int) -> Path:
    base = payload(-1)
    with file.open("w") as stream:
        for number in range(rows):
            # The last three of each ten are those of a row that was long ago.
            row = number if number % 10 < 7 else number // 20 * 10 + number % 7
            stream.write(json.dumps({**base, "order_id": f"M-{row}", "cliente_id": f"C-{row % 1000}"}) + "\n")
    return file


def _under_way(file: Path, rows: int, out: Path) -> _Moment:
    """Return what a run that waits has in memory when all of its *rows* are under way."""
    moments = _submit(file, "--limit", str(rows), "-o", str(out), stop_at=rows)
    return max(moments, key=lambda moment: moment.under_way)


def _submit(file: Path, *options: str, stop_at: int | None = None) -> Iterator[_Moment]:
    """Yield what a producer has done, every few seconds; end it when *stop_at* rows are under way."""
    environment = {**os.environ, "REDIS_URL": URL, "CELERY_BROKER_URL": URL, "ENV_FILE": ""}
    command = ["submit", "orders.enrich", str(file), "--max-queued", "0", "--progress", "json", *options]
    with subprocess.Popen(
        [sys.executable, "-m", "producer", *command],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for told in _counts(process.stderr):
            memory = _memory(process.pid)
            if memory:
                yield _Moment(told["ended"], told["queued"], told["seconds"], memory)
            if stop_at is not None and told["queued"] >= stop_at:
                stop_at = None
                process.send_signal(signal.SIGINT)


def _counts(lines: Iterable[str]) -> Iterator[dict[str, int]]:
    for line in lines:
        told = json.loads(line)
        if told["event"] in ("progress", "ended"):
            yield told
        elif told["event"] == "error":
            raise RuntimeError(told["line"])


def _memory(pid: int) -> int:
    """Return the bytes that a process has in memory; 0 if it has ended."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), 0)
