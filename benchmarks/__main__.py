"""``python -m benchmarks [part ...]``: enqueue, bulk, worker, slow, provider, read, startup, reaper, memory,
jobs, million, batch, scrape, due, functions.

Without a name, all of them.

Every figure is printed with the figure of its rival from the same run. Only the ratios are comparable between
machines.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from askonce.errors import StoreUnavailable
from sandbox.valkey import Valkey

#: Each part, and the option that it takes.
PARTS = {
    "enqueue": "rounds",
    "bulk": "rounds",
    "worker": "rounds",
    "slow": "rounds",
    "provider": "rows",
    "read": "rounds",
    "startup": "rounds",
    "reaper": "jobs",
    "memory": "jobs",
    "jobs": "jobs",
    "million": "rows",
    "batch": "rows",
    "scrape": "jobs",
    "due": "jobs",
    "functions": "rounds",
}


def main() -> int:
    """Measure the given parts on a server of our own; return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--rounds", type=int, help="number of interleaved rounds; the result is their median")
    parser.add_argument("--jobs", type=int, help="number of jobs in the long queue, and of records")
    parser.add_argument(
        "--rows",
        type=int,
        help="number of rows of a part that submits a file: 200 or 2000 for provider, any for million",
    )
    options = parser.parse_args()
    # No append-only file: it would measure the disk, and its rewrites come at random times. And what one part
    # leaves is gone before the next one measures.
    with Valkey(tcp=True, options="appendonly no\nlazyfree-lazy-user-flush no") as valkey:
        os.environ["BENCH_URL"] = valkey.url
        from benchmarks.measure import Table

        table = Table()
        for part in options.parts or PARTS:
            option = PARTS[part]
            given = {option: value} if (value := getattr(options, option)) else {}
            try:
                importlib.import_module(f"benchmarks.{part}").run(table, **given)
            except StoreUnavailable as error:
                # The machine was busy for too long: the other parts are measured all the same.
                table.line(part, "", f"cut short: {error.reason}", goal="measured", met=False)
    if table.missed:
        print(f"\nmissed: {', '.join(table.missed)}")
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
