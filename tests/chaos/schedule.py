"""Draws which faults come when: the same seed, the same faults."""

import random
from typing import NamedTuple

#: Kind, its share, and how long it lasts (seconds), if it lasts. A stall is longer than the lease.
KINDS = {
    "kill_child": (2, None),
    "kill_worker": (1, None),
    "kill_producer": (1, None),
    "stall_worker": (1, (3.3, 4.5)),
    "stall_child": (1, (3.3, 4.5)),
    "stall_producer": (0.5, (0.5, 2.0)),
    "cut_store": (2, None),
    "cut_broker": (2, None),
    "block_store": (1.5, (0.3, 1.5)),
    "block_broker": (1, (0.3, 2.0)),
    "refuse_store": (0.5, (0.3, 1.0)),
    "drop_store_reply": (3, None),
    "drop_broker_reply": (2, None),
    "restart_server": (0.7, None),
    "lose_queue": (1, None),
    "lose_message": (1, None),
    "double_messages": (2, None),
    "lose_record": (1.5, None),
    "cancel_job": (2.5, None),
    "pause_jobs": (1.5, (0.5, 2.0)),
}


class Fault(NamedTuple):
    """*at* and *lasts* in seconds; *pick*, from 0 to 1, chooses among what is there then."""

    at: float
    kind: str
    lasts: float
    pick: float


def chaos(seed, seconds, every=0.7):
    """Anything, about *every* so many seconds."""
    draw, faults, at = random.Random(f"chaos {seed}"), [], 1.0
    while (at := at + draw.uniform(0.2, 2 * every - 0.2)) < seconds:
        kind = draw.choices(list(KINDS), [share for share, _ in KINDS.values()])[0]
        lasts = KINDS[kind][1]
        faults.append(Fault(at, kind, draw.uniform(*lasts) if lasts else 0.0, draw.random()))
    return faults


def soak(seed, seconds):
    """A process killed every 3 seconds, a job cancelled and some paused every 5, all links cut every 10."""
    draw = random.Random(f"soak {seed}")
    kills = [
        Fault(float(at), draw.choice(["kill_child", "kill_worker", "kill_producer"]), 0.0, draw.random())
        for at in range(3, int(seconds), 3)
    ]
    cuts = [
        Fault(float(at), kind, 0.0, 0.0)
        for at in range(10, int(seconds), 10)
        for kind in ("cut_store", "cut_broker")
    ]
    controls = [
        Fault(at + 0.5, kind, draw.uniform(0.5, 2.0) if kind == "pause_jobs" else 0.0, draw.random())
        for at in range(5, int(seconds), 5)
        for kind in ("cancel_job", "pause_jobs")
    ]
    return sorted(kills + cuts + controls)
