"""What must hold after a run, beside each key's history: calls, lost jobs, fences, leftovers."""

import itertools
import json
from collections import Counter
from typing import NamedTuple

from tests.chaos.history import Undecided, check
from tests.chaos.processes import LISTS, RECORDS, UNACKED
from tests.chaos.state import UNRUN

#: Faults that keep a worker from the store.
OUTAGES = (
    "block_store",
    "refuse_store",
    "restart_server",
    "cut_store",
    "drop_store_reply",
)


#: Seconds until a verb without a reply took effect, if it does: a stall, and the buffers of a cut link.
LATEST = 5.0


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
    #: How callers' waits ended.
    waits: Counter[str]


def read_ledger(path):
    calls, stalls, waits = {}, [], Counter()
    for line in map(json.loads, path.read_text().splitlines()):
        if line["e"] == "stall":
            stalls.append((line["pid"], line["since"], line["t"]))
        elif line["e"] == "waited":
            waits[line["end"]] += 1
        elif line["e"] == "call":
            call = Call(line["fence"], line["key"], line["job"], line["pid"], line["t"])
            calls[call.key, call.fence] = call
        else:
            which = line["key"], line["fence"]
            calls[which] = calls[which]._replace(end=line["e"], ended=line["t"])
    return Ledger(sorted(calls.values()), stalls, waits)


class Evidence(NamedTuple):
    """What may explain that a job was called more than once."""

    ledger: Ledger
    killed: dict[int, float]
    #: Done faults: (kind, from, to).
    faults: list[tuple[str, float, float]]
    #: When the record was lost or forgotten, by key.
    lost: dict[str, list[float]]
    #: When one admission was sent to the store twice, by key and job: (from, to).
    repeated: dict[tuple[str, str], list[tuple[float, float]]]
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
    reasons = (
        ("killed", _killed),
        ("record lost", _record_lost),
        ("stalled", _stalled),
        ("admitted twice", _admitted_twice),
        ("store away", _store_away),
    )
    return next((reason for reason, holds in reasons if holds(before, after, evidence)), "nothing")


def _killed(before, after, evidence):
    killed_at = evidence.killed.get(before.pid)
    return killed_at is not None and (not before.end or before.ended < killed_at < after.began)


def _record_lost(before, after, evidence):
    return any(before.began <= at <= after.began for at in evidence.lost.get(before.key, ()))


def _stalled(before, after, evidence):
    return any(
        pid == before.pid and since < after.began and until > before.began
        for pid, since, until in evidence.ledger.stalls
    )


def _admitted_twice(before, after, evidence):
    """A job that ended may be admitted anew under its own id."""
    times = evidence.repeated.get((before.key, before.job), ())
    return bool(before.end) and any(since < after.began and until > before.ended for since, until in times)


def _store_away(before, after, evidence):
    return any(
        kind in OUTAGES and since < after.began and until + evidence.slack > before.began
        for kind, since, until in evidence.faults
    )


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


def repeated_admissions(by_key):
    """When the store may have admitted one job twice, by key and job.

    A link sends an admission again that had no reply. And where its sender had no reply at all, the message
    asks the worker to admit the job: a copy whose worker stands still before that may admit it anew.
    """
    repeated = {}
    for key, ops in by_key.items():
        unheard = set()
        for op in (op for op in ops if op.verb == "admit"):
            job = op.args["job"]
            if op.id.endswith(".1"):
                unheard.add(job)
                times = op.invoked, op.invoked + LATEST
            elif job in unheard and op.outcome == "admitted":
                times = op.invoked, op.returned
            else:
                continue
            repeated.setdefault((key, job), []).append(times)
    return repeated


def started_while_paused(by_key, pauses):
    """Runs that a pause should have held back."""
    started = [
        (key, op)
        for key, ops in by_key.items()
        for op in ops
        if op.verb == "start" and op.outcome == "granted"
    ]
    return [(key, op) for key, op in started if any(pause.holds(op) for pause in pauses)]


def lost_jobs(by_key, store, client):
    """Keys that were asked for and have neither an answer nor a failure, without a fault that says why."""
    asked = {key for key, ops in by_key.items() if any(op.outcome == "admitted" for op in ops)}
    found = {name.decode()[-64:]: name for name in client.scan_iter(f"{RECORDS}*:rec:*", count=1000)}
    lost, keys = [], sorted(asked | found.keys())
    for key, record in zip(keys, store.read(keys), strict=True):
        ended = record.flight == "idle" and (record.value is not None or record.failure is not None)
        # Why a job was not run can be read for two minutes; the field stays.
        unrun = key in found and client.hget(found[key], "ek") in [kind.encode() for kind in UNRUN]
        gone = any(op.verb in ("lose", "invalidate") for op in by_key.get(key, ()))
        if not (ended or (record.flight == "idle" and (gone or unrun))):
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


#: What stays for ever beside the records: counters; and indexes, which are empty when all is done.
ENDLESS = (":idx", ":tally", ":tally}:total")


def leftovers(client):
    """What should not be on the server when all is done. Every pause was ended, so none may be there."""
    left = []
    for name in map(bytes.decode, client.scan_iter("*", count=1000)):
        if name.startswith(RECORDS):
            # -2: it ended since it was listed.
            if not name.endswith(ENDLESS) and client.pttl(name) == -1:
                left.append(f"{name} has no end")
        elif "_kombu.binding" not in name and not name.endswith("unacked_mutex"):
            left.append(name)
    return left


def held(client):
    """Describe each message that a worker holds: how long ago it was renewed, and what became of its job."""
    now = client.time()
    for tag, noted in client.hgetall(UNACKED).items():
        headers = json.loads(noted)[0]["headers"]
        renewed = client.zscore(f"{UNACKED}_index", tag)
        ours = (headers.get("headers") or {}).get("askonce", {})
        names = client.keys(f"{RECORDS}*:rec:{ours.get('key')}")
        record = names and client.hmget(names[0], "fl", "job", "fen", "own")
        age = renewed and now[0] + now[1] / 1e6 - renewed
        yield f"held: {tag.decode()}, renewed {age} s ago, headers {headers}, record {record}"


def is_drained(client):
    """Nothing is under way: no message, and no flight in any index."""
    # One look at all: a message goes from a list to what is taken, and back.
    with client.pipeline(transaction=True) as look:
        for names in (*LISTS, UNACKED, f"{RECORDS}*:idx"):
            look.keys(names)
        return not any(look.execute())
