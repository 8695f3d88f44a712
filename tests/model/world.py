"""One key and the actors on it: which steps are possible next, and the world after each.

A *fair* step happens sooner or later by itself. The others are a choice or a fault, and each has a budget.
No rule can forbid a step. ``broken`` names what a step broke.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.model import verbs
from tests.model.verbs import Limits, Record


class Budget(NamedTuple):
    """How often each of these may happen in one history."""

    callers: int = 1
    #: An answer grows stale; what is kept of a record runs out.
    ages: int = 0
    expiries: int = 0
    #: Delivery: a message is lost, also with the producer that should have sent it; comes once more,
    #: however long after; is not taken before its deadline.
    losses: int = 0
    copies: int = 0
    delays: int = 0
    #: Processes: one dies; one is stalled until its time is over; a call fails; a lease is given back.
    crashes: int = 0
    stalls: int = 0
    failures: int = 0
    parks: int = 0
    #: The record is lost; an operator forgets it, cancels the job, pauses all jobs.
    record_losses: int = 0
    invalidations: int = 0
    cancels: int = 0
    pauses: int = 0
    #: A caller enqueues the last job again, under the same id; a caller delays its job.
    repeats: int = 0
    countdowns: int = 0


class Worker(NamedTuple):
    doing: str = "nothing"
    job: int = 0
    owner: int = 0
    #: Its lease lasts, by the server's clock.
    live: bool = False


class Sender(NamedTuple):
    """A process that a job was handed out to: first it sends the message, then it counts it."""

    job: int
    sent: bool = False


class World(NamedTuple):
    budget: Budget
    record: Record | None = None
    queue: tuple[int, ...] = ()
    senders: tuple[Sender, ...] = ()
    #: The record may not know of the last message: a copy, or one that was never counted.
    uncounted: bool = False
    paused: bool = False
    #: The job that was cancelled under way, and that no caller asked for since; 0 is none.
    cancelled: int = 0
    #: The messages of the jobs up to this one are older than any record that ended by itself is kept.
    aged: int = 0
    #: Every job of which there is, or was, a message.
    sent: frozenset[int] = frozenset()
    #: In order, since one is as good as another.
    workers: tuple[Worker, ...] = (Worker(), Worker())
    waiting: bool = False
    jobs: int = 0
    #: The server's time, counted in leases.
    moment: int = 0
    #: The highest fence of an answer that was shown.
    shown: int = 0
    #: Calls that admissions and counted faults explain, less those that were made.
    allowed: int = 0
    broken: frozenset[str] = frozenset()


class Step(NamedTuple):
    name: str
    after: World
    fair: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The verbs of one design, and what its workers do; the defaults are what is built."""

    limits: Limits = field(default_factory=Limits)
    admit: Callable[..., tuple] = verbs.admit
    start: Callable[..., tuple] = verbs.start
    renew: Callable[..., tuple] = verbs.renew
    complete: Callable[..., tuple] = verbs.complete
    fail: Callable[..., tuple] = verbs.fail
    park: Callable[..., tuple] = verbs.park
    cancel: Callable[..., tuple] = verbs.cancel
    reap: Callable[..., tuple] = verbs.reap
    #: Whether the reaper may take the job's message for delivered; the world is its argument.
    delivered: Callable[..., bool] = lambda world: world.uncounted or world.record.job not in world.queue
    #: A message has a deadline too.
    queue_deadline: bool = True
    #: A worker that finds a lease run out takes it over in a second round trip, whatever happened in between.
    looks_first: bool = False


def spend(world, what):
    """Return the budget after one *what*; None where there is none left."""
    left = getattr(world.budget, what)
    return world.budget._replace(**{what: left - 1}) if left else None


def with_record(world, record):
    """What the queue has delivered is a matter of the world: the store is told anew each time."""
    return world._replace(record=record and record._replace(delivered=False))


def with_message(world, job):
    queue = tuple(sorted((*world.queue, job)))
    return world._replace(queue=queue, sent=world.sent | {job})


def with_sender(world, old, *new):
    """Replace *old*, None for none, by *new*."""
    senders = [*world.senders, *new]
    if old is not None:
        senders.remove(old)
    return world._replace(senders=tuple(sorted(senders)))


def with_worker(world, old, new):
    workers = list(world.workers)
    workers[workers.index(old)] = new
    return world._replace(workers=tuple(sorted(workers)))


def without_leases(world):
    """No lease counts any more: the record that granted them is gone."""
    return world._replace(workers=tuple(sorted(worker._replace(live=False) for worker in world.workers)))


def runs(worker):
    return worker.doing in ("holding", "called")


def carried(world, job):
    """Return whether a message of *job* is on its way or in a worker's hands."""
    return job in world.queue or any(worker.job == job and not runs(worker) for worker in world.workers)


def settled(record):
    """Return whether the waiter is answered, as a handle reads it off the record."""
    if record is None:
        return False
    failed = record.kept_failure
    stale = failed is not None and failed.kind in ("transient", "quarantined") and record.answer is not None
    return stale or (record.flight == "idle" and (record.answer is not None or failed is not None))
