"""What must hold after a run, beside each key's history: calls, lost jobs, fences, leftovers."""

import itertools
import json
from collections import Counter
from typing import NamedTuple

from tests.chaos.history import Undecided, check
from tests.chaos.processes import QUEUE, RECORDS, UNACKED

#: Faults that keep a worker from the store.
OUTAGES = (
    "block_store",
    "refuse_store",
    "restart_server",
    "cut_store",
    "drop_store_reply",
)


class Call(NamedTuple):
    fence: int
    key: str
    job: str
    pid: int
    began: float
    end: str = ""
    ended: float = 0.0


class Ledger(NamedTuple):
    calls: list[Call]
    #: Times in which a process stood still: (pid, from, to).
    stalls: list[tuple[int, float, float]]


def read_ledger(path):
    calls, stalls = {}, []
    for line in map(json.loads, path.read_text().splitlines()):
        if line["e"] == "stall":
            stalls.append((line["pid"], line["since"], line["t"]))
        elif line["e"] == "call":
            call = Call(line["fence"], line["key"], line["job"], line["pid"], line["t"])
            calls[call.key, call.fence] = call
        else:
            which = line["key"], line["fence"]
            calls[which] = calls[which]._replace(end=line["e"], ended=line["t"])
    return Ledger(sorted(calls.values()), stalls)


class Evidence(NamedTuple):
    """What may explain that a job was called more than once."""

    ledger: Ledger
    killed: dict[int, float]
    #: Done faults: (kind, from, to).
    faults: list[tuple[str, float, float]]
    #: When the record was lost or forgotten, by key.
    lost: dict[str, list[float]]
    slack: float = 3.5


def explain_calls(evidence):
    """Count the calls beyond one a job by what explains them; and those that nothing explains."""
    by_job, reasons, unexplained = {}, Counter(), []
    for call in evidence.ledger.calls:
        by_job.setdefault((call.key, call.job), []).append(call)
    for calls in by_job.values():
        for before, after in itertools.pairwise(calls):
            if before.end == "transient":
                continue
            reason = _reason(before, after, evidence)
            reasons[reason] += 1
            if reason == "nothing":
                unexplained.append((before, after))
    return reasons, unexplained


def _reason(before, after, evidence):
    if not before.end and before.pid in evidence.killed:
        return "killed"
    if before.pid in evidence.killed and before.ended < evidence.killed[before.pid] < after.began:
        return "killed"
    if any(before.began <= at <= after.began for at in evidence.lost.get(before.key, ())):
        return "record lost"
    for pid, since, until in evidence.ledger.stalls:
        if pid == before.pid and since < after.began and until > before.began:
            return "stalled"
    for kind, since, until in evidence.faults:
        if kind in OUTAGES and since < after.began and until + evidence.slack > before.began:
            return "store away"
    return "nothing"


def uncalled_for(ledger, by_key):
    """Calls of jobs that nobody asked for."""
    asked = {(key, op.args["job"]) for key, ops in by_key.items() for op in ops if op.verb == "admit"}
    return [call for call in ledger.calls if (call.key, call.job) not in asked]


def check_histories(by_key):
    """Return violations by key, and how many keys could not be decided."""
    violations, undecided = {}, 0
    for key, ops in by_key.items():
        try:
            if violation := check(ops):
                violations[key] = violation
        except Undecided:
            undecided += 1
    return violations, undecided


def lost_jobs(by_key, store, client):
    """Keys that were asked for and have neither an answer nor a failure, without a fault that says why."""
    asked = {key for key, ops in by_key.items() if any(op.outcome == "admitted" for op in ops)}
    asked |= {name.decode()[-64:] for name in client.scan_iter(f"{RECORDS}*:rec:*", count=1000)}
    lost, keys = [], sorted(asked)
    for key, record in zip(keys, store.read(keys), strict=True):
        ended = record.flight == "idle" and (record.value is not None or record.failure is not None)
        gone = any(op.verb in ("lose", "invalidate") for op in by_key.get(key, ()))
        if not (ended or (gone and record.flight == "idle")):
            lost.append((key, record))
    return lost


def fences_that_went_back(by_key):
    """Sequences of looks, each begun after the one before had ended, whose answers grow older."""
    wrong = []
    for key, ops in by_key.items():
        looks = [op for op in ops if op.verb == "read" and op.seen and op.seen["value"]]
        for op in looks:
            earlier = [other.seen["value"] for other in looks if other.returned < op.invoked]
            if earlier and max(earlier) > op.seen["value"]:
                wrong.append((key, op))
    return wrong


def leftovers(client):
    """What should not be on the server when all is done."""
    left = []
    for name in map(bytes.decode, client.scan_iter("*", count=1000)):
        if name.startswith(RECORDS) and not name.endswith(":idx"):
            if client.pttl(name) <= 0:
                left.append(f"{name} has no end")
        elif "_kombu.binding" not in name and not name.endswith("unacked_mutex"):
            left.append(name)
    return left


def is_drained(client):
    """Nothing is under way: no message, and no flight in any index."""
    return not client.exists(QUEUE, UNACKED) and not list(client.scan_iter(f"{RECORDS}*:idx", count=1000))
