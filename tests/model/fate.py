"""What happens to the key from outside: time passes, an operator acts, luck is bad."""

from tests.model import verbs
from tests.model.invariants import one_lease
from tests.model.world import Step, carried, runs, spend, with_worker, without_leases


def time(world, rules):
    for what, record in verbs.passing(world.record):
        yield from _PASSING[what](world, rules, world._replace(record=record), what)


def _rest_ends(_world, _rules, after, _what):
    yield Step("the rest is over", after)


def _deadline_ends(world, rules, after, _what):
    if world.record.flight == "running":
        yield from _lease_ends(world, after)
        return
    # A message that is under way is late only when the workers are.
    fair = not carried(world, world.record.job)
    budget = world.budget if fair else spend(world, "delays")
    if budget and rules.queue_deadline:
        yield Step("the message's time is over", after._replace(budget=budget), fair)


def _hand_out_ends(world, _rules, after, _what):
    at_work = any(sender.job == world.record.job for sender in world.senders)
    budget = spend(world, "stalls") if at_work else world.budget
    if budget:
        after = after._replace(budget=budget, uncounted=world.uncounted or at_work)
        yield Step("another process may send the message", after, fair=not at_work)


def _freshness_ends(world, _rules, after, _what):
    if budget := spend(world, "ages"):
        yield Step("the answer grows stale", after._replace(budget=budget), fair=False)


def _keeping_ends(world, _rules, after, what):
    if budget := spend(world, "expiries"):
        # A record that ended by itself outlived every message that was sent for it.
        aged = world.aged if after.record else world.jobs
        after = _forgotten(after)._replace(budget=budget, aged=aged)
        yield Step(f"the {what} runs out", after, fair=False)


_PASSING = {
    "rest": _rest_ends,
    "deadline": _deadline_ends,
    "hand-out": _hand_out_ends,
    "freshness": _freshness_ends,
    "answer": _keeping_ends,
    "failure": _keeping_ends,
    "tombstone": _keeping_ends,
}


def _lease_ends(world, after):
    owner = world.record.owner
    alive = [worker for worker in world.workers if runs(worker) and worker.owner == owner]
    if not alive:
        yield Step(f"the lease of owner {owner} is over", after)
    elif budget := spend(world, "stalls"):
        after = with_worker(after, alive[0], alive[0]._replace(live=False))
        after = after._replace(budget=budget, allowed=world.allowed + 1)
        yield Step(f"owner {owner} is stalled, its lease is over", after, fair=False)


def _forgotten(world):
    """A waiter for a record that is gone enqueues a job of its own."""
    return world._replace(allowed=world.allowed + world.waiting)


def operator(world, rules):
    if world.paused:
        yield Step("the pause ends", world._replace(paused=False))
    if budget := spend(world, "pauses"):
        yield Step("an operator pauses all jobs", world._replace(paused=True, budget=budget), fair=False)
    if world.record and (budget := spend(world, "cancels")):
        outcome, record = rules.cancel(world.record)
        cancelled = record.job if outcome == "running" else 0
        after = one_lease(world, world._replace(record=record, budget=budget, cancelled=cancelled))
        if record != world.record:
            yield Step(f"an operator cancels the job: {outcome}", after, fair=False)


def bad_luck(world):
    if world.record is None:
        return
    if budget := spend(world, "record_losses"):
        lost = world._replace(record=None, budget=budget, allowed=world.allowed + 1, cancelled=0)
        lost = without_leases(lost)
        yield Step("the record is lost", lost, fair=False)
    if budget := spend(world, "invalidations"):
        _, record = verbs.invalidate(world.record)
        forgotten = _forgotten(without_leases(world._replace(record=record, budget=budget)))
        yield Step("an operator forgets the record", forgotten, fair=False)
