"""Start-up: the help of the command line beside the import of Celery alone."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.measure import interleaved, ratio

if TYPE_CHECKING:
    from benchmarks.measure import Contestant, Table

ROUNDS = 7


def run(table: Table, *, rounds: int = ROUNDS) -> None:
    """Measure whole processes."""
    figures = interleaved(
        {
            "help": _process("-m", "producer", "--help"),
            "celery": _process("-c", "import celery"),
            "submit": _process("-m", "producer", "submit", "--help"),
        },
        rounds,
    )
    table.title("Start of a process; ratio to python -c 'import celery'")
    for name, shown in (
        ("celery", "import celery"),
        ("help", "producer --help"),
        ("submit", "producer submit --help"),
    ):
        table.line(shown, f"{median(figures[name]) * 1000:.0f} ms", f"x {ratio(figures, name, 'celery'):.2f}")


def _process(*arguments: str) -> Contestant:
    def measure() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    return measure
