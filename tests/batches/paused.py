"""A long queue is paused for hours: it keeps its messages and their order, and each job is one message.

An hour lasts a minute here, or as much longer as the machine is busy. So does everything that is due: a
reaper looks for a lost message after a second, as it does after a minute otherwise.
"""

import hashlib
import os
from contextlib import ExitStack
from threading import Event
from time import monotonic
from typing import NamedTuple

from askonce.controls import Pause
from sandbox.machine import stop
from sandbox.valkey import Valkey
from tests.batches.seen import Seen
from tests.deadlines import eventually
from tests.fault.queue_stage import Stage

QUEUE = Pause("queue", "slow")
#: An hour has so many deadlines of a queue.
DEADLINES_OF_AN_HOUR = 60
#: Jobs that are called before the pause.
BEFORE = 20
GROUP = 500
#: Seconds between two looks during the pause.
LOOK = 0.5


class Counts(NamedTuple):
    """How many messages wait, and how many calls and messages there were."""

    waiting: int
    called: int
    received: int


def add_options(parser):
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--hours", type=float, default=8.0)


def prove(folder, options):
    folder.mkdir(parents=True, exist_ok=True)
    # Calls take no time: the queue is long enough.
    os.environ["QUEUE_CALL"] = "0"
    with ExitStack() as stack:
        server = stack.enter_context(Valkey(folder / "valkey", tcp=True))
        stage = Stage(server, None, folder, eventually)
        stack.callback(stage.close)
        stack.callback(lambda: [stop(worker) for worker in stage.workers])
        return _prove(stage, options)


def _prove(stage, options):
    jobs, seen, hour = options.jobs, Seen(), DEADLINES_OF_AN_HOUR * stage.app.DEADLINE
    _enqueue(stage, jobs)
    stage.start_worker("slow")
    eventually(lambda: stage.client.llen("called") >= BEFORE, 60)
    stage.controls.pause(QUEUE, "eight hours")
    stage.wait_for_log(0, "worker.paused queues=slow")
    eventually(lambda: stage.waiting() + stage.client.llen("called") == jobs, 60)
    kept, queue = _counts(stage), _digest(stage)
    # One that starts during the pause takes nothing either.
    stage.start_worker("slow")
    counts = _look(stage, options.hours * hour)
    seen.expect("messages that wait, calls and messages taken, during the pause", {kept}, counts)
    seen.expect("the queue after the pause", queue, _digest(stage))
    stop(stage.workers.pop())
    resumed = monotonic()
    stage.controls.resume(QUEUE)
    eventually(lambda: stage.client.llen("called") > kept.called, 60)
    first = monotonic() - resumed
    eventually(lambda: stage.client.llen("called") >= jobs and not stage.waiting(), 60 + jobs / 20)
    seconds, received = monotonic() - resumed, stage.received()
    # A message that came when the pause had just begun went back, and was taken again.
    messages = received.total() - stage.log_of(0).count("reject requeue=True: paused")
    seen.expect("calls, in their order", list(range(jobs)), stage.calls())
    seen.expect("jobs and messages", (jobs, jobs), (len(received), messages))
    seen.say(
        f"{jobs:,} jobs, paused for {options.hours:g} hours of {hour:.0f} s:"
        f" {messages / jobs:.2f} messages a job;"
        f" first call {first:.1f} s after the resume, all after {seconds:.0f} s"
    )
    return seen


def _enqueue(stage, jobs):
    for start in range(0, jobs, GROUP):
        stage.app.call.enqueue_many([{"n": n} for n in range(start, min(start + GROUP, jobs))])


def _look(stage, seconds):
    """Return the counts that there were during so many seconds."""
    until, never, counts = monotonic() + seconds, Event(), {_counts(stage)}
    while monotonic() < until:
        never.wait(LOOK)
        counts.add(_counts(stage))
    return counts


def _counts(stage):
    return Counts(stage.waiting(), stage.client.llen("called"), stage.client.llen("received"))


def _digest(stage):
    return hashlib.sha256("".join(stage.client.lrange("slow", 0, -1)).encode()).hexdigest()
