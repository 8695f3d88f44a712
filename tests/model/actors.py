"""The next steps on the key: of callers, a waiter, the broker, senders, workers and the reaper."""

from tests.model import verbs
from tests.model.fate import bad_luck, operator, time
from tests.model.invariants import (
    after_call,
    after_complete,
    after_hand_out,
    after_start,
    after_write,
    one_lease,
)
from tests.model.world import (
    Sender,
    Step,
    Worker,
    runs,
    settled,
    spend,
    with_message,
    with_record,
    with_sender,
    with_worker,
)


def steps(world, rules):
    """Yield every step that is possible now."""
    yield from _caller(world, rules)
    yield from _waiter(world, rules)
    yield from _broker(world)
    for worker in sorted(set(world.workers)):
        yield from _WORKERS[worker.doing](world, rules, worker)
        yield from _crash(world, worker)
    for sender in sorted(set(world.senders)):
        yield from _sender(world, sender)
    yield from _reaper(world, rules)
    yield from time(world, rules)
    yield from operator(world, rules)
    yield from bad_luck(world)


def _caller(world, rules):
    yield from _enqueues(world, rules, "callers", "enqueues")
    yield from _enqueues(world, rules, "countdowns", "enqueues with a countdown", delay=True)
    if world.jobs > world.aged:
        yield from _enqueues(world, rules, "repeats", "enqueues the last job again", job=world.jobs)


def _enqueues(world, rules, budgeted, what, **options):
    budget = spend(world, budgeted)
    if budget is None:
        return
    outcome, after = _enqueue(world._replace(budget=budget), rules, **options)
    # A claim that is repeated while its job is queued changes nothing.
    if outcome == "admitted" and after.record != world.record:
        after = after._replace(allowed=world.allowed + 1)
    if outcome in ("admitted", "resend", "attached"):
        yield Step(f"a caller {what}: {outcome}", after._replace(waiting=True), fair=False)


def _enqueue(world, rules, job=0, *, delay=False):
    """Admit a new job, and send its message where the outcome requires one.

    A caller that dies between the two is a message that is lost.
    """
    job = job or world.jobs + 1
    before = _as_reported(world, rules)
    outcome, record = rules.admit(before, rules.limits, job, delay=delay, paused=world.paused)
    after = one_lease(world, with_record(world, record))
    if outcome in ("admitted", "resend", "attached"):
        after = after._replace(cancelled=0)
    if outcome == "admitted":
        after = after._replace(jobs=max(job, world.jobs))
        after = after._replace(uncounted=after.uncounted or job in world.queue)
        return outcome, after if delay else with_message(after, job)
    if outcome == "resend":
        after = _handed_out(world, after._replace(jobs=max(job, world.jobs)))
    return outcome, after


def _as_reported(world, rules):
    """Return the record as the store judges it, which knows what the queue has delivered."""
    record = world.record
    return verbs.deliver(record) if record and rules.delivered(world) else record


def _handed_out(before, after):
    return after_hand_out(before, with_sender(after, None, Sender(after.record.job)))


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
            again = with_message(world._replace(budget=budget, uncounted=True), job)
            yield Step(f"the message of job {job} comes once more", again, fair=False)


def _sender(world, sender):
    job = sender.job
    if sender.sent:
        _, record = verbs.resent(world.record, job)
        yield Step(f"the message of job {job} is counted", with_sender(world._replace(record=record), sender))
    else:
        sent = with_sender(with_message(world, job), sender, Sender(job, sent=True))
        yield Step(f"the message of job {job} is sent again", sent)
    if budget := spend(world, "crashes"):
        after = with_sender(world._replace(budget=budget), sender)
        after = after._replace(uncounted=world.uncounted or sender.sent)
        yield Step(f"the sender of job {job} dies{' before it counts' * sender.sent}", after, fair=False)


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
    outcome, record = rules.start(
        world.record, rules.limits, job, owner, owner, late=job <= world.aged, paused=world.paused
    )
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
    outcome, record = rules.admit(_as_reported(world, rules), rules.limits, worker.job, paused=world.paused)
    after = one_lease(world, with_record(world, record))
    after = with_worker(after, worker, worker._replace(doing="restarting"))
    yield Step(f"a worker admits job {worker.job}: {outcome}", after)


def _holding(world, rules, worker):
    called = with_worker(world, worker, worker._replace(doing="called"))
    yield Step(f"owner {worker.owner} makes the call", after_call(called))
    yield from _renew(world, rules, worker)
    if budget := spend(world, "parks"):
        outcome, record = rules.park(world.record, worker.owner)
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
    job, record = rules.reap(_as_reported(world, rules), rules.limits, paused=world.paused)
    after = one_lease(world, with_record(world, record))
    if after.record == world.record:
        return
    if job:
        yield Step(f"the reaper gets job {job}", _handed_out(world, after))
    else:
        yield Step("the reaper quarantines the job", after)
