"""A task whose body looks at its own record, and every way to call it."""

import pytest
from celery import Celery, chain, chord, group
from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from celery.schedules import schedule

from askonce.adapters.celery import IdempotentTask
from askonce.attempt import current_attempt
from askonce.errors import JobError
from askonce.outcomes import Duplicate
from askonce.spec import JobSpec
from tests.deadlines import eventually, stretched


class Shop:
    """A task whose body looks at the record of its own job."""

    def __init__(self, shop):
        self.shop, self.app, self.seen, self.gates = shop, shop.app, {}, {}

        @shop.app.task(name="seen", base=IdempotentTask, spec=JobSpec(), bind=True, shared=False)
        def seen(task, n):
            attempt = current_attempt()
            request = task.request
            custom = {name: value for name, value in (request.headers or {}).items() if name != "askonce"}
            record = shop.store.read([attempt.key])[0]
            self.seen.setdefault(n, []).append((record, custom, request.timelimit))
            if gate := self.gates.get(n):
                assert gate.wait(stretched(20))
            return n

        @shop.app.task(name="rest", shared=False, ignore_result=False)
        def rest(*_):
            """Be the rest of a canvas."""

        seen.ignore_result = False
        self.task, self.rest, self.store = seen, rest, shop.store
        self.foreign = Celery("foreign", broker=shop.server.url, set_as_current=False)
        self.foreign.conf.broker_transport_options = shop.app.conf.broker_transport_options
        self.foreign.conf.task_default_queue = shop.app.conf.task_default_queue


def by_beat(shop, n, options):
    entry = ScheduleEntry("tick", "seen", schedule(60), args=(n,), options=options, app=shop.app)
    scheduler = Scheduler(shop.app, lazy=True)
    with shop.app.connection_for_write() as connection:
        scheduler.apply_async(entry, producer=shop.app.amqp.Producer(connection, auto_declare=False))


def by_a_foreign_app(shop, n, options):
    own = {
        name: options.pop(name)
        for name in ("tenant", "run", "force", "max_age", "on_duplicate")
        if name in options
    }
    headers = {**options.pop("headers", {}), **({"askonce": own} if own else {})}
    shop.foreign.send_task("seen", (n,), headers=headers, **options)


WAYS = {
    "enqueue": lambda shop, n, o: shop.task.enqueue({"n": n}, **o),
    "apply_async": lambda shop, n, o: shop.task.apply_async((n,), **o),
    "own message": lambda shop, n, o: shop.task.apply_async((n,), link=shop.rest.si(), **o),
    "signature": lambda shop, n, o: shop.task.s(n).set(**o).apply_async(),
    "chain": lambda shop, n, o: chain(shop.task.s(n).set(**o), shop.rest.si()).apply_async(),
    "later in a chain": lambda shop, n, o: chain(shop.rest.si(), shop.task.si(n).set(**o)).apply_async(),
    "group": lambda shop, n, o: group(shop.task.s(n).set(**o), shop.rest.si()).apply_async(),
    "group's own": lambda shop, n, o: group(shop.task.s(n)).apply_async(**o),
    "chord": lambda shop, n, o: chord([shop.task.s(n).set(**o)], shop.rest.s()).apply_async(),
    "chord's own": lambda shop, n, o: chord([shop.task.s(n)], shop.rest.s()).apply_async(**o),
    "chain's own": lambda shop, n, o: chain(shop.task.s(n), shop.rest.si()).apply_async(**o),
    "chunks": lambda shop, n, o: shop.task.chunks([(n,)], 1).apply_async(**o),
    "chunks, set": lambda shop, n, o: shop.task.chunks([(n,)], 1).set(**o).apply_async(),
    "map": lambda shop, n, o: shop.task.map([n]).apply_async(**o),
    "starmap": lambda shop, n, o: shop.task.starmap([(n,)]).apply_async(**o),
    "beat": by_beat,
    "send_task": lambda shop, n, o: shop.app.send_task("seen", (n,), **o),
    "foreign app": by_a_foreign_app,
    "apply": lambda shop, n, o: shop.task.apply((n,), **o),
}
#: These run in the caller: nothing travels, and nothing waits.
HERE = {"apply"}
#: One message of Celery's carries several calls, so what is said of a message is said of that one.
BY_ITEM = {"chunks", "chunks, set", "map", "starmap"}
#: The `apply_async` of any signature drops options of None.
DROPS_NONE = {*BY_ITEM, "chain's own", "chord's own", "group's own"}


def seen_by(shop, n):
    eventually(lambda: shop.seen.get(n), seconds=20.0)
    return shop.seen[n][0]


#: These look at the record before they send anything.
ASKING = {"enqueue", "apply_async", "signature", "beat"}


def refusal(way, shop, n, options):
    """Return how a call was refused; None where it was sent."""
    try:
        outcome = WAYS[way](shop, n, options)
    except (JobError, SchedulingError) as refused:
        return refused
    return outcome if isinstance(outcome, Duplicate) else None


def parametrized(ways):
    return pytest.mark.parametrize("way", ways)
