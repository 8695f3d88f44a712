"""``python -m tests.chaos --seed 1 --seconds 20``: break things for a while, then judge what was answered.

Exit codes: 0 every promise held, 1 one was broken (its history is printed), 2 usage.
"""

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic

from redis import Redis
from redis.exceptions import RedisError

from askonce.adapters.redis import RedisStore
from tests.chaos import checks, schedule
from tests.chaos.mutants import MUTANTS, break_on_purpose
from tests.chaos.processes import Processes
from tests.chaos.recording import load

KEYS, DRAIN_SECONDS, LOOK_SECONDS = 16, 90.0, 0.05


@dataclass
class Run:
    faults: list = field(default_factory=list)  # done ones: (kind, from, to)
    drained: bool = False
    problems: list = field(default_factory=list)
    said: str = ""

    def note(self, fault, at):
        self.faults.append((fault.kind, at, at + fault.lasts))


def main(arguments=None):
    options = _parse(arguments)
    seconds = options.soak * 60 if options.soak else options.seconds
    draw = schedule.soak if options.soak else schedule.chaos
    faults = draw(options.seed, seconds)
    if options.schedule:
        print(*faults, sep="\n")
        return 0
    if options.mutant:
        break_on_purpose(options.mutant)
    with tempfile.TemporaryDirectory(prefix="askonce-chaos-") as folder:
        run = execute(Path(options.keep or folder), options, faults, seconds)
    print(*run.problems, run.said, sep="\n")
    return 1 if run.problems else 0


def execute(folder, options, faults, seconds):
    run = Run()
    folder.mkdir(exist_ok=True, parents=True)
    with Processes(folder, options.seed, KEYS, mutant=options.mutant, recorded=not options.soak) as scene:
        # On a busy machine the processes take longer to start than a storm lasts.
        _wait_until(lambda _client: scene.has_called(), scene)
        _break_things(scene, run, faults, seconds)
        scene.end_producers()
        run.drained = _wait_until(checks.is_drained, scene)
        _judge(scene, run, options, seconds)
    return run


def _break_things(scene, run, faults, seconds):
    began, to_do, never, minutes = monotonic(), list(faults), Event(), 0
    while (now := monotonic()) < began + seconds:
        scene.undo(now)
        scene.keep_running()
        while to_do and began + to_do[0].at <= now:
            fault = to_do.pop(0)
            at = monotonic()
            if scene.apply(fault):
                run.note(fault, at)
        if (now - began) // 60 > minutes:
            minutes += 1
            print(f"minute {minutes}: {len(run.faults)} faults, {_calls(scene)} calls", flush=True)
        never.wait(LOOK_SECONDS)
    scene.heal()


def _calls(scene):
    with (scene.folder / "ledger.jsonl").open() as lines:
        return sum('"call"' in line for line in lines)


def _wait_until(holds, scene):
    """Tell whether it came to hold; nothing is broken any more."""
    never, until = Event(), monotonic() + DRAIN_SECONDS
    while monotonic() < until:
        scene.keep_running()
        try:
            if holds(scene.client):
                return True
        except RedisError:
            pass
        never.wait(0.2)
    return False


def _judge(scene, run, options, seconds):
    by_key = load(scene.folder / "history")
    ledger = checks.read_ledger(scene.folder / "ledger.jsonl")
    lost_at = {
        key: [op.invoked for op in ops if op.verb in ("lose", "invalidate")] for key, ops in by_key.items()
    }
    evidence = checks.Evidence(ledger, scene.killed, run.faults, lost_at, checks.repeated_admissions(by_key))
    reasons, unexplained = checks.explain_calls(evidence)
    with Redis.from_url(scene.server.url) as client:
        lost = checks.lost_jobs(by_key, RedisStore(client, namespace="chaos"), client)
    violations, undecided = checks.check_histories(by_key)
    run.problems += [f"key {key[:8]}\n{violation}" for key, violation in violations.items()]
    run.problems += [f"a call that nothing explains: {before}, then {after}" for before, after in unexplained]
    if not options.soak:
        run.problems += [f"a call nobody asked for: {call}" for call in checks.uncalled_for(ledger, by_key)]
    run.problems += [f"lost: {key[:8]} {record}" for key, record in lost]
    run.problems += [f"an older answer after a newer: {op}" for _, op in checks.fences_that_went_back(by_key)]
    run.problems += [
        f"started during a pause: {op}" for _, op in checks.started_while_paused(by_key, scene.pauses)
    ]
    run.problems += scene.ended
    # A message that a cut link still carried comes late; a worker takes it.
    _wait_until(lambda client: not checks.leftovers(client), scene)
    run.problems += [f"left over: {name}" for name in checks.leftovers(scene.client)]
    if not run.drained:
        run.problems.append(f"not done after {DRAIN_SECONDS:.0f} s without faults")
        # Held twice under one tag it stays where it is; under another one it is delivered again and again.
        run.problems += [*checks.held(scene.client), *scene.inspected(), *checks.held(scene.client)]
        run.problems += scene.stacks()
    keys = {call.key for call in ledger.calls} | by_key.keys()
    kinds = Counter(kind for kind, _, _ in run.faults)
    ways = Counter(way for ops in by_key.values() for op in ops if (way := _way_of(op)))
    run.said = (
        f"seed {options.seed}: {seconds:.0f} s, {sum(map(len, by_key.values()))} operations,"
        f" {len(keys)} keys ({undecided} undecided), {len(ledger.calls)} calls, faults {dict(kinds)},"
        f" surplus calls {dict(reasons)}, ways {dict(ways)}, waits {dict(ledger.waits)}, {len(lost)} lost,"
        f" {scene.forgotten()} forgotten, {len(run.problems)} problems"
    )


def _way_of(op):
    """What a storm has to reach, beside the verbs that every job takes; None for all else."""
    if op.verb == "admit":
        return "one step" if op.args["pushed"] else "two steps"
    rare = op.verb in ("park", "cancel") or op.outcome in ("paused", "returned")
    return f"{op.verb} {op.outcome}" if rare and op.outcome else None


def _parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES", help="the long, plain schedule")
    parser.add_argument("--mutant", choices=MUTANTS, default="", help="break a script first: must be found")
    parser.add_argument("--schedule", action="store_true", help="print the faults of this seed and end")
    parser.add_argument("--keep", default="", metavar="FOLDER", help="keep history, ledger and logs here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
