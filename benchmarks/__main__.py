"""``python -m benchmarks [enqueue] [worker] [read] [startup]``: without a name, all of them.

Every figure is printed with the figure of its rival from the same run. Only the ratios are comparable between
machines.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from sandbox.valkey import Valkey

PARTS = ("enqueue", "worker", "read", "startup")


def main() -> int:
    """Measure the given parts on a server of our own; return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--rounds", type=int, help="number of interleaved rounds; the result is their median")
    options = parser.parse_args()
    # No append-only file: it would measure the disk, and its rewrites come at random times.
    with Valkey(tcp=True, options="appendonly no") as valkey:
        os.environ["BENCH_URL"] = valkey.url
        from benchmarks.measure import Table

        table = Table()
        rounds = {"rounds": options.rounds} if options.rounds else {}
        for part in options.parts or PARTS:
            importlib.import_module(f"benchmarks.{part}").run(table, **rounds)
    if table.missed:
        print(f"\nmissed: {', '.join(table.missed)}")
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
