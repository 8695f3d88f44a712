"""Producers ask for the same rows at once: each distinct row is paid once, and all sums agree.

Nine rows of ten are duplicates. Each producer has a run and an output of its own, over a part of the rows
or, with --whole, over all of them.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from time import monotonic

from sandbox.machine import ROOT
from sandbox.outside import openai_wire
from tests.batches.seen import Seen
from tests.preloaded import Machine

TASK = "meetings.extract"
COPIES = 10


@dataclass(frozen=True)
class Part:
    """What one producer submits."""

    number: int
    ids: list
    folder: object

    @property
    def rows(self):
        return self.folder / f"rows-{self.number}.jsonl"

    @property
    def out(self):
        return self.folder / f"out-{self.number}.jsonl"

    def write(self):
        with self.rows.open("w") as file:
            file.writelines(json.dumps(_meeting(each)) + "\n" for each in self.ids)

    def start(self, machine):
        run = ("--out", self.out, "--run", f"part-{self.number}")
        log = self.folder / f"producer-{self.number}.log"
        return machine.spawn("-m", "producer", "submit", TASK, self.rows, *run, log=log)

    def read(self):
        with self.out.open() as file:
            return [json.loads(line) for line in file]


def add_options(parser):
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--producers", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--whole", action="store_true", help="each producer submits all rows")
    parser.add_argument("--seed", type=int, default=1)


def prove(folder, options):
    folder.mkdir(parents=True, exist_ok=True)
    distinct = options.rows // COPIES
    ids = [f"m-{number % distinct}" for number in range(options.rows)]
    random.Random(options.seed).shuffle(ids)
    each = range(options.producers)
    parts = [
        Part(number, ids if options.whole else ids[number :: options.producers], folder) for number in each
    ]
    for part in parts:
        part.write()
    with Machine(folder / "machine") as machine:
        for number in range(options.workers):
            machine.start_worker("-P", "threads", "-c", "32", name=f"worker-{number}")
        began = monotonic()
        producers = [part.start(machine) for part in parts]
        codes = [producer.wait() for producer in producers]
        return _judge(machine, parts, codes, monotonic() - began)


def _judge(machine, parts, codes, seconds):
    outputs = [part.read() if part.out.exists() else [] for part in parts]
    lines, calls = [line for output in outputs for line in output], machine.ledger.openai
    distinct, rows = len({one for part in parts for one in part.ids}), sum(len(part.ids) for part in parts)
    paid = calls.input_tokens * openai_wire.PRICE["input"] + calls.output_tokens * openai_wire.PRICE["output"]
    seen = Seen()
    seen.say(
        f"{len(parts)} producers, {rows:,} rows, {distinct:,} distinct: {seconds:.0f} s,"
        f" {rows / seconds:,.0f} rows/s; {calls.calls:,} calls, {paid / 1e6:.6f} dollars"
    )
    seen.expect("exit codes", [0] * len(parts), codes)
    seen.expect("calls", (distinct, 0), (calls.calls, calls.surplus))
    for part, output in zip(parts, outputs, strict=True):
        seen.expect(f"rows of {part.out.name}", list(enumerate(part.ids, 1)), _rows_of(output))
    seen.expect("status", {"done": rows}, dict(Counter(line["status"] for line in lines)))
    seen.expect("answers", distinct, len({(line["id"], json.dumps(line["result"])) for line in lines}))
    seen.expect("calls in the outputs", distinct, sum(line["calls"] or 0 for line in lines))
    # A call costs whole millionths.
    seen.expect("sum of the outputs", paid, round(1e6 * sum(line["cost_usd"] for line in lines)))
    seen.expect("sum of cost", paid, round(1e6 * _counted(machine)))
    return seen


def _rows_of(output):
    return [(line["row"], line["id"]) for line in output]


def _counted(machine):
    """Return what ``cost`` shows as the sum, in dollars."""
    command = [sys.executable, "-m", "producer", "cost", "--json"]
    told = subprocess.run(command, cwd=ROOT, env=machine.env, capture_output=True, text=True, check=True)
    return json.loads(told.stdout.splitlines()[-1])["cost_usd"]


def _meeting(own):
    said = f"Ana: We decided to ship version {own} on Friday.\nBruno: I will write the notes of {own}."
    return {"meeting_id": own, "transcript": said}
