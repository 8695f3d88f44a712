"""Shows the promise with real processes: enqueued many times, paid once, one worker killed, nothing lost."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass

from sandbox.machine import SAMPLES, Machine, NotReady
from sandbox.outside.ledger import Ledger

#: Task, input file, and whether its lines are submitted in reverse order. All four run at the same time.
#: Meetings come first: each meeting is a call of its own, so every slot of the worker makes a call.
#: Orders may wait for the lookup of one customer.
_BATCHES = (
    ("meetings.extract", "meetings.jsonl", False),
    ("meetings.extract", "meetings.jsonl", True),
    ("orders.enrich", "orders.jsonl", False),
    ("orders.enrich", "orders.jsonl", True),
)
#: Submitted again when every job has its answer.
_AGAIN = (_BATCHES[0], _BATCHES[2])
_OUTCOMES = {
    "admitted": "a new job",
    "attached": "an equal job was queued or running",
    "hit": "the answer was in the store",
}
_SLOTS = 4
_PATIENCE = 60.0
#: Seconds, shorter than in production: the job of the killed worker runs again after this time.
_LEASE = "4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The results of the demo."""

    reports: list[dict[str, object]]
    ledger: Ledger
    killed: int
    seconds: float


def run(*, live: bool = False) -> int:
    """Run the demo and print its table; return 0 if every promise was kept."""
    env = {"JOB_LEASE": _LEASE, "REAP_INTERVAL": "1", **(_live_env() if live else {})}
    outside = {"latency": 0.05, "llm_latency": 0.3, "failure_rate": 0.1, "seed": 7}
    with Machine(outside=outside, env=env) as machine:
        machine.start_worker("--pool", "prefork", "--concurrency", str(_SLOTS))
        print(f"Valkey, stand-in services and one worker of {_SLOTS} processes are running.", flush=True)
        outcome = _submit_all(machine)
    _print_table(outcome)
    broken = _broken_promises(outcome)
    for promise in broken:
        print(f"BROKEN: {promise}")
    return 1 if broken else 0


def _live_env() -> dict[str, str]:
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise SystemExit("--live needs OPENAI_API_KEY")
    return {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": "https://api.openai.com/v1"}


def _submit_all(machine: Machine) -> Outcome:
    began = time.monotonic()
    machine.control(hold=True)
    producers = [_submit(machine, number, *batch) for number, batch in enumerate(_BATCHES[:2])]
    _wait_for_calls(machine)
    producers += [_submit(machine, number, *batch) for number, batch in enumerate(_BATCHES[2:], 2)]
    killed = _kill_one_child(machine)
    machine.control(hold=False)
    for producer in producers:
        producer.wait(_PATIENCE)
    for number, batch in enumerate(_AGAIN, len(_BATCHES)):
        _submit(machine, number, *batch).wait(_PATIENCE)
    seconds = time.monotonic() - began
    outputs = [machine.folder / f"out-{number}.jsonl" for number in range(len(_BATCHES) + len(_AGAIN))]
    reports = [json.loads(line) for path in outputs for line in path.read_text().splitlines()]
    return Outcome(reports=reports, ledger=machine.ledger, killed=killed, seconds=seconds)


def _submit(
    machine: Machine,
    number: int,
    task: str,
    file: str,
    backwards: bool,  # noqa: FBT001  # a column of _BATCHES
) -> subprocess.Popen[bytes]:
    lines = (SAMPLES / file).read_text(encoding="utf-8").splitlines(keepends=True)
    rows = machine.folder / f"in-{number}.jsonl"
    rows.write_text("".join(reversed(lines) if backwards else lines), encoding="utf-8")
    output = machine.folder / f"out-{number}.jsonl"
    return machine.submit(task, rows, "--wait", "--timeout", str(_PATIENCE), output=output)


def _wait_for_calls(machine: Machine) -> None:
    """Wait until every slot of the worker makes a call, which the stand-ins hold."""
    if not machine.wait_for_held(_SLOTS, _PATIENCE):
        raise NotReady("the worker made no calls")


def _kill_one_child(machine: Machine) -> int:
    child = children_of(machine.workers[0].pid)[0]
    os.kill(child, signal.SIGKILL)
    # The process keeps its connection to the stand-ins until it has ended.
    while _is_alive(child):
        pass
    print(f"Killed worker process {child} with SIGKILL during its call.")
    return 1


def _is_alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S607  # as above
    return state.stdout.strip()[:1] not in ("", "Z")


def children_of(pid: int) -> list[int]:
    """Return the process ids of *pid*'s children, oldest first."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)  # noqa: S607  # found on PATH everywhere
    pairs = (line.split() for line in listed.stdout.splitlines())
    return sorted(int(child) for child, parent in pairs if int(parent) == pid)


def _broken_promises(seen: Outcome) -> list[str]:
    broken = []
    surplus = _surplus(seen.ledger)
    undelivered = seen.ledger.openai.undelivered + seen.ledger.customers.undelivered
    explained = min(seen.killed, undelivered)
    if surplus > explained:
        broken.append(f"{surplus} surplus calls, but the killed process explains only {explained}")
    if lost := _lost(seen):
        broken.append(f"{lost} enqueued jobs have no answer")
    if differing := _differing(seen):
        broken.append(f"{differing} keys have different answers in different reports")
    return broken


def _surplus(ledger: Ledger) -> int:
    return ledger.openai.surplus + ledger.customers.surplus


def _lost(seen: Outcome) -> int:
    return sum(report["status"] != "done" for report in seen.reports)


def _differing(seen: Outcome) -> int:
    answers: dict[str, set[str]] = {}
    for report in seen.reports:
        if report["source"] not in ("default", "stale"):
            answers.setdefault(str(report["key"]), set()).add(json.dumps(report["result"], sort_keys=True))
    return sum(len(different) > 1 for different in answers.values())


def _dollars(seen: Outcome) -> str:
    """Return what the answers of known price cost to make: each row has what it caused to be paid."""
    costs = [each["cost_usd"] for each in seen.reports if each["cost_usd"] is not None]
    return f"{sum(float(str(cost)) for cost in costs):.6f}"


def _print_table(seen: Outcome) -> None:
    enqueued = len(seen.reports)
    outside = (seen.ledger.openai, seen.ledger.customers)
    distinct = sum(len(service.by_content) for service in outside)
    paid = sum(service.answered for service in outside)
    outcomes = Counter(str(report["asked"]) for report in seen.reports)
    sources = Counter(str(report["source"]) for report in seen.reports)
    rows = [
        ("enqueued", enqueued, f"by {len(_BATCHES)} producers at once, then by {len(_AGAIN)} more"),
        ("distinct jobs", len({report["key"] for report in seen.reports}), "orders and meetings"),
        ("distinct calls", distinct, "for the customers and meetings of these jobs"),
        ("paid calls", paid, f"{paid - distinct} more than distinct: by the killed process"),
        ("refused by the service", sum(s.refused for s in outside), "seeded failures, retried"),
        ("calls avoided", enqueued - paid, ""),
        *((f"outcome {word}", count, _OUTCOMES.get(word, "")) for word, count in sorted(outcomes.items())),
        *((f"answers from {source}", count, "") for source, count in sorted(sources.items())),
        ("dollars", _dollars(seen), "what the answers of the meetings cost to make"),
        ("lost", _lost(seen), ""),
        ("seconds", round(seen.seconds, 1), ""),
    ]
    print()
    for name, figure, remark in rows:
        print(f"  {name:<24}{figure:>8}  {remark}".rstrip())
    print()
