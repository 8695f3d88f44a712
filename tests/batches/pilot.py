"""A pilot of a model that reasons at random lengths: in 19 of 20 runs the cost is inside of what it shows.

Each seed is a run of its own, with rows and reasoning of its own. Half of its answers reason for longer than
--reasoning tokens, and few for many times that.
"""

import json
import random
import re
from math import floor
from time import monotonic

from producer.progress.amounts import dollars
from tests.batches.seen import Seen
from tests.preloaded import Machine

TASK = "meetings.extract"
#: Seconds of one call.
THINKS = 0.02
#: No answer is cut off.
MOST_TOKENS = "1000000"
#: Of so many runs one may end outside.
RUNS_FOR_ONE = 20
MICROS = 1_000_000
_SHOWN = re.compile(
    r"pilot: (?P<called>[\d,]+) rows were called; the other (?P<rest>[\d,]+) will cost"
    r" \S+ \(\$(?P<low>[\d,.]+) to \$(?P<high>[\d,.]+)\)"
)


def add_options(parser):
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--pilot", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--reasoning", type=float, default=1500.0)
    parser.add_argument("--spread", type=float, default=1.0, help="deviation of its natural logarithm")


def prove(folder, options):
    folder.mkdir(parents=True, exist_ok=True)
    outside = {
        "llm_latency": THINKS,
        "llm_reasoning": options.reasoning,
        "llm_reasoning_spread": options.spread,
    }
    seen, seeds = Seen(), range(1, options.seeds + 1)
    with Machine(folder / "machine", outside=outside, env={"LLM_MAX_OUTPUT_TOKENS": MOST_TOKENS}) as machine:
        for number in range(options.workers):
            machine.start_worker("-P", "threads", "-c", "32", name=f"worker-{number}")
        inside = sum(_is_inside(machine, folder, options, seed, seen) for seed in seeds)
    seen.say(f"{inside} of {len(seeds)} inside")
    if inside < len(seeds) - floor(len(seeds) / RUNS_FOR_ONE):
        seen.expect("runs whose cost is inside of the interval", f"19 of {RUNS_FOR_ONE}", inside)
    return seen


def _is_inside(machine, folder, options, seed, seen):
    rows, out, log = folder / f"rows-{seed}.jsonl", folder / f"out-{seed}.jsonl", folder / f"run-{seed}.log"
    _write(rows, options.rows, seed)
    machine.control(seed=seed)
    began = monotonic()
    words = ("submit", TASK, rows, "--out", out, "--pilot", options.pilot, "--yes")
    code = machine.spawn("-m", "producer", *words, log=log).wait()
    lines, shown = _lines_of(out), _SHOWN.search(log.read_text())
    seen.expect(f"exit code and rows of seed {seed}", (0, options.rows), (code, len(lines)))
    if shown is None:
        seen.expect(f"what the pilot of seed {seed} shows", "an interval", log.read_text()[-200:])
        return False
    told = [int(shown[each].replace(",", "")) for each in ("called", "rest")]
    seen.expect(f"rows of the pilot of seed {seed}", [options.pilot, options.rows - options.pilot], told)
    low, high = (float(shown[each].replace(",", "")) for each in ("low", "high"))
    paid = sum(line["cost_usd"] for line in lines[options.pilot :])
    seen.say(
        f"seed {seed}: ${low:.4f} to ${high:.4f} shown, {dollars(round(paid * MICROS))} paid,"
        f" {'inside' if low <= paid <= high else 'OUTSIDE'}; {monotonic() - began:.0f} s"
    )
    return low <= paid <= high


def _write(file, rows, seed):
    """Write meetings of random lengths."""
    rng = random.Random(seed)
    with file.open("w") as written:
        for number in range(rows):
            said = " ".join(["We decided to ship it on Friday."] * int(rng.lognormvariate(3, 0.6)))
            meeting = {"meeting_id": f"s{seed}-{number}", "transcript": f"Ana: {number} of {seed}. {said}"}
            written.write(json.dumps(meeting) + "\n")


def _lines_of(out):
    if not out.exists():
        return []
    with out.open() as file:
        return [json.loads(line) for line in file]
