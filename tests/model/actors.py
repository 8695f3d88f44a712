"""The next steps on the key: of callers, a waiter, the broker, workers, the reaper, time and bad luck."""

from tests.model import verbs
from tests.model.invariants import after_call, after_complete, after_start, after_write, one_lease
from tests.model.world import (
    Step,
    Worker,
    carried,
    runs,
    settled,
    spend,
    with_message,
    with_worker,
    without_leases,
)


def steps(world, rules):
    """Yield every step that is possible now."""
    yield from _caller(world, rules)
    yield from _waiter(world, rules)
    yield from _broker(world)
    for worker in sorted(set(world.workers)):
        yield from _WORKERS[worker.doing](world, rules, worker)
        yield from _crash(world, worker)
    yield from _reaper(world, rules)
    yield from _time(world, rules)
    yield from _bad_luck(world)


def _caller(world, rules):
    budget = spend(world, "callers")
    if budget is None:
        return
    outcome, after = _enqueue(world._replace(budget=budget), rules)
    if outcome == "admitted":
        after = after._replace(allowed=world.allowed + 1)
    if outcome in ("admitted", "resend", "attached"):
        yield Step(f"a caller enqueues: {outcome}", after._replace(waiting=True), fair=False)


def _enqueue(world, rules):
    """Admit a new job, and send its message where the outcome requires one.

    A caller that dies between the two is a message that is lost.
    """
    job = world.jobs + 1
    outcome, record = rules.admit(world.record, rules.limits, job)
    after = one_lease(world, world._replace(record=record))
    if outcome in ("admitted", "resend"):
        after = with_message(after._replace(jobs=job), record.job)
    return outcome, after


def _waiter(world, rules):
    """Follow a handle: it enqueues again where nothing is left of its job."""
    if not world.waiting:
        return
    if settled(world.record):
        yield Step("the waiter is answered", world._replace(waiting=False))
    elif world.record is None or world.record.flight == "idle":
        outcome, after = _enqueue(world, rules)
        yield Step(f"the waiter enqueues again: {outcome}", after._replace(waiting=outcome != "backoff"))


def _broker(world):
    for job in sorted(set(world.queue)):
        queue = list(world.queue)
        queue.remove(job)
        taken = world._replace(queue=tuple(queue))
        if (idle := Worker()) in world.workers:
            yield Step(
                f"a worker gets the message of job {job}", with_worker(taken, idle, Worker("starting", job))
            )
        if budget := spend(world, "losses"):
            yield Step(f"the message of job {job} is lost", taken._replace(budget=budget), fair=False)
    if budget := spend(world, "copies"):
        for job in sorted(world.sent):
            again = with_message(world._replace(budget=budget), job)
            yield Step(f"the message of job {job} comes once more", again, fair=False)


def _starting(world, rules, worker):
    if rules.looks_first and world.record and world.record.flight == "running" and world.record.over:
        looked = with_worker(world, worker, worker._replace(doing="looked"))
        yield Step(f"a worker sees that the lease of job {worker.job} is over", looked)
        return
    yield from _start(world, rules, worker, "admitting")


def _restarting(world, rules, worker):
    yield from _start(world, rules, worker, "nothing")


def _start(world, rules, worker, where_absent):
    job, owner = worker.job, world.moment + 1
    outcome, record = rules.start(world.record, rules.limits, job, owner, owner)
    after = world._replace(record=record)
    if outcome == "granted":
        after = after_start(world, _leased(after, worker, owner), job)
    elif outcome == "absent" and where_absent == "admitting":
        after = with_worker(after, worker, worker._replace(doing="admitting"))
    else:
        after = with_worker(after, worker, Worker())
    end = f"owner {owner}" if outcome == "granted" else outcome
    yield Step(f"a worker starts job {job}: {end}", after)


def _leased(world, worker, owner):
    leased = with_worker(world, worker, Worker("holding", worker.job, owner, live=True))
    return leased._replace(moment=owner)


def _looked(world, rules, worker):
    """Overwrite what may have changed since the look: no sound design does this."""
    job, owner = worker.job, world.moment + 1
    _, record = verbs.grant((world.record or verbs.Record())._replace(job=job), rules.limits, owner, owner)
    after = _leased(world._replace(record=record), worker, owner)
    yield Step(f"a worker takes job {job} over: owner {owner}", after_start(world, after, job))


def _admitting(world, rules, worker):
    """Admit the message's own job: its record was gone. Nothing is sent, whatever the outcome."""
    outcome, record = rules.admit(world.record, rules.limits, worker.job)
    after = one_lease(world, world._replace(record=record))
    after = with_worker(after, worker, worker._replace(doing="restarting"))
    yield Step(f"a worker admits job {worker.job}: {outcome}", after)


def _holding(world, rules, worker):
    called = with_worker(world, worker, worker._replace(doing="called"))
    yield Step(f"owner {worker.owner} makes the call", after_call(called))
    yield from _renew(world, rules, worker)
    if budget := spend(world, "releases"):
        outcome, record = rules.release(world.record, worker.owner)
        after = with_worker(world._replace(record=record, budget=budget), worker, Worker())
        after = after_write(world, after, worker)
        yield Step(f"owner {worker.owner} gives the lease back: {outcome}", after, fair=False)


def _called(world, rules, worker):
    outcome, record = rules.complete(world.record, worker.owner)
    after = with_worker(world._replace(record=record), worker, Worker())
    after = after_complete(world, after, worker, outcome)
    yield Step(f"owner {worker.owner} completes: {outcome}", after)
    yield from _renew(world, rules, worker)
    budget = spend(world, "failures")
    for kind in ("transient", "permanent") if budget else ():
        outcome, record = rules.fail(
            world.record, rules.limits, worker.owner, kind, rests=kind == "transient"
        )
        after = with_worker(world._replace(record=record, budget=budget), worker, Worker())
        # One that may be tried again explains one more call.
        after = after._replace(allowed=world.allowed + (kind == "transient"))
        after = after_write(world, after, worker)
        yield Step(f"owner {worker.owner} fails ({kind}): {outcome}", after, fair=False)


def _renew(world, rules, worker):
    """Only a stalled owner has something to prolong: for the others a renewal is no step."""
    outcome, record = rules.renew(world.record, worker.owner)
    if record != world.record:
        after = with_worker(world._replace(record=record), worker, worker._replace(live=True))
        yield Step(f"owner {worker.owner} renews: {outcome}", after_write(world, after, worker), fair=False)


_WORKERS = {
    "nothing": lambda *_: (),
    "starting": _starting,
    "looked": _looked,
    "admitting": _admitting,
    "restarting": _restarting,
    "holding": _holding,
    "called": _called,
}


def _crash(world, worker):
    budget = spend(world, "crashes")
    if budget is None or worker.doing == "nothing":
        return
    after = with_worker(world._replace(budget=budget), worker, Worker())
    paid = worker.doing == "called"
    who = f"owner {worker.owner}" if runs(worker) else f"the worker with job {worker.job}"
    yield Step(
        f"{who} dies{' after its call' if paid else ''}",
        after._replace(allowed=world.allowed + paid),
        fair=False,
    )


def _reaper(world, rules):
    job, record = rules.reap(world.record, rules.limits)
    if record == world.record:
        return
    after = one_lease(world, world._replace(record=record))
    if job:
        yield Step(f"the reaper sends job {job} again", with_message(after, job))
    else:
        yield Step("the reaper quarantines the job", after)


def _time(world, rules):
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


def _freshness_ends(world, _rules, after, _what):
    if budget := spend(world, "ages"):
        yield Step("the answer grows stale", after._replace(budget=budget), fair=False)


def _keeping_ends(world, _rules, after, what):
    if budget := spend(world, "expiries"):
        yield Step(f"the {what} runs out", _forgotten(after)._replace(budget=budget), fair=False)


_PASSING = {
    "rest": _rest_ends,
    "deadline": _deadline_ends,
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


def _bad_luck(world):
    if world.record is None:
        return
    if budget := spend(world, "record_losses"):
        lost = without_leases(world._replace(record=None, budget=budget, allowed=world.allowed + 1))
        yield Step("the record is lost", lost, fair=False)
    if budget := spend(world, "invalidations"):
        _, record = verbs.invalidate(world.record)
        forgotten = _forgotten(without_leases(world._replace(record=record, budget=budget)))
        yield Step("an operator forgets the record", forgotten, fair=False)
