"""What monitors see of a worker: replies to `celery inspect`, events and log lines."""

import json
import logging
import pickle
import re
import threading
from types import SimpleNamespace

import pytest
from celery import Celery, chain, chord, group
from celery.events.state import State

from askonce.adapters.celery import IdempotentTask
from askonce.adapters.celery.states import Parked
from askonce.errors import Permanent, Postponed, Transient
from askonce.key import identify
from askonce.spec import JobSpec, RetryPolicy
from sandbox.valkey import Valkey
from tests.deadlines import eventually, stretched
from tests.integration.conftest import Shop

pytestmark = [
    pytest.mark.integration,
    # Celery's result backend speaks redis-py's older language.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]

SECRET, MARK = "geheim-4711", "segredo-4711"
OURS = "askonce.adapters.kombu.redis:Transport"
SEES = ("args", "kwargs", "result", "exception", "traceback")


class WatchedShop(Shop):
    """An app whose server wants a password, which stands in each setting that may hold one."""

    def __init__(self, server):
        url = f"redis://:{SECRET}@127.0.0.1:{server.port}/0"
        super().__init__(
            SimpleNamespace(url=url),
            "watched",
            broker_transport=OURS,
            result_backend=f"redis://127.0.0.1:{server.port}/0?password={SECRET}",
            result_backend_transport_options={"global_keyprefix": "watched:"},
            worker_send_task_events=True,
        )
        options = {"sentinel_kwargs": {"username": "ana", "password": SECRET}}
        self.app.conf.broker_transport_options |= options
        # One message runs, the others are reserved.
        self.app.conf.worker_disable_prefetch, self.app.conf.worker_prefetch_multiplier = False, 8

    def _add_tasks(self, calls):
        super()._add_tasks(calls)

        @self.app.task(name="echo", base=IdempotentTask, ignore_result=False, shared=False)
        def echo(text):
            calls.make("echo", text)
            return {"said": text, "parts": [text]}

        @self.app.task(name="join", base=IdempotentTask, ignore_result=False, shared=False)
        def join(parts):
            return parts

        spec = JobSpec(shown=("order_id",), retry=RetryPolicy(max_attempts=3, base=0.02))

        @self.app.task(name="order", base=IdempotentTask, spec=spec, links=True, shared=False)
        def order(order_id, text):
            calls.make("order", order_id)
            return text

        self.echo, self.join, self.order = echo, join, order
        # A stranger writes the arguments into the headers.
        self.foreign = Celery("foreign", set_as_current=False)
        self.foreign.conf.update(
            broker_url=self.app.conf.broker_url,
            broker_transport_options=self.app.conf.broker_transport_options,
            result_backend=self.app.conf.result_backend,
            result_backend_transport_options=self.app.conf.result_backend_transport_options,
        )

    def ask(self, command, *arguments):
        """Return what the one worker replies to ``celery inspect``."""
        inspect = self.app.control.inspect(timeout=stretched(10), limit=1)
        [reply] = getattr(inspect, command)(*arguments).values()
        return reply


@pytest.fixture(scope="module")
def chatty():
    """Let Celery log each message, which it decides when a worker starts."""
    loggers = [logging.getLogger(name) for name in ("celery.app.trace", "celery.worker.strategy")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
    with pytest.MonkeyPatch.context() as patch:
        # The project's worker keeps them quiet, and its app may be loaded in this process.
        patch.setattr("settings.logs._CHATTY", ())
        yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(scope="module")
def shop(chatty):
    with (
        Valkey(tcp=True, options=f"requirepass {SECRET}") as server,
        WatchedShop(server).worker(concurrency=1) as shop,
    ):
        yield shop


@pytest.fixture(scope="module")
def heard(shop):
    """Every event, from the first test that wants one."""
    heard = []
    with shop.app.connection_for_read() as connection:
        receiver = shop.app.events.Receiver(connection, handlers={"*": heard.append})
        thread = threading.Thread(target=receiver.capture, kwargs={"limit": None}, daemon=True)
        thread.start()
        # The subscription begins later than the thread: an event before it is lost.
        eventually(lambda: shop.app.control.heartbeat() or heard)
        yield heard
        receiver.should_stop = True
        thread.join(stretched(10))


@pytest.fixture
def events(heard):
    """The events of tasks from now on."""
    heard.clear()
    return heard


@pytest.mark.parametrize("command", ["stats", "conf", "report"])
def test_inspect_shows_no_password(shop, command):
    shown = json.dumps(shop.ask(command))

    assert "127.0.0.1" in shown
    assert SECRET not in shown


def test_inspect_stats_shows_the_broker_under_its_scheme(shop):
    broker = shop.ask("stats")["broker"]

    assert "redis" == broker["transport"]
    assert "ana" == broker["transport_options"]["sentinel_kwargs"]["username"]


@pytest.fixture
def three_messages(shop, gate):
    """A message that runs, one that waits for a slot and one that waits for its time; all by a stranger."""
    shop.calls.gates[MARK] = gate
    ids = []
    for options in ({}, {}, {"countdown": 600}):
        sent = shop.foreign.send_task(
            "echo", (MARK,), argsrepr=MARK, kwargsrepr=MARK, queue="watched", ignore_result=True, **options
        )
        ids.append(sent.id)
    eventually(lambda: shop.ask("active") and shop.ask("reserved") and shop.ask("scheduled"))
    return ids


def test_inspect_shows_no_payload_of_any_message(shop, three_messages):
    shown = {name: shop.ask(name) for name in ("active", "reserved", "scheduled")}
    shown["query_task"] = shop.ask("query_task", three_messages)

    assert set(three_messages) == set(shown["query_task"])
    assert MARK not in json.dumps(shown)
    [active] = shown["active"]
    key = identify(shop.echo.job_spec, {"text": MARK}).key
    assert ("echo", "()", f"{{'key': '{key[:16]}'}}") == (active["name"], active["args"], active["kwargs"])


def test_events_and_logs_show_neither_payload_nor_answer(shop, events, caplog):
    caplog.set_level(logging.INFO)
    foreign = shop.foreign.send_task("echo", (MARK + "1",), argsrepr=MARK, kwargsrepr=MARK, queue="watched")
    parts = group(shop.echo.s(f"{MARK}{n}") for n in (2, 3)).delay()
    whole = chord([shop.echo.s(f"{MARK}{n}") for n in (4, 5)], shop.join.s()).delay()
    last = chain(shop.echo.s(f"{MARK}6"), shop.join.s()).delay()
    items = shop.echo.chunks([(f"{MARK}{n}",) for n in (7, 8)], 2).apply_async()

    results = [each.get(timeout=stretched(20)) for each in (foreign, parts, whole, last, items)]
    ended = [foreign.id, *(part.id for part in parts), whole.id, last.id, *(each.id for each in items)]
    eventually(lambda: set(ended) <= {each["uuid"] for each in events if each["type"] == "task-succeeded"})

    assert {"said": f"{MARK}1", "parts": [f"{MARK}1"]} == results[0]
    assert MARK in json.dumps(results[1:])
    assert MARK not in json.dumps([{name: each.get(name) for name in SEES} for each in events])
    logged = [record.getMessage() for record in caplog.records]
    assert all(any(what in line for line in logged) for what in ("succeeded in", "received"))
    assert [] == [line for line in logged if MARK in line]
    assert [] == [record for record in caplog.records if MARK in str(record.__dict__)]


#: Every way in which the message of a job comes to a worker.
WAYS = {
    "one step": lambda shop, row: shop.order.enqueue(row).job,
    "two steps": lambda shop, row: shop.order.enqueue(row, headers={"trace": "1"}).job,
    "a group": lambda shop, row: shop.order.enqueue_many([row])[0].job,
    "delay": lambda shop, row: shop.order.delay(**row).id,
    "a message of its own": lambda shop, row: shop.order.apply_async((), row, shadow="order").id,
    "a chain": lambda shop, row: chain(shop.order.si(**row), shop.join.s()).delay().parent.id,
    "another program": lambda shop, row: shop.foreign.send_task("order", (), row, queue="watched").id,
}


def received(events, job):
    """What monitors were shown of each message of *job*."""
    return [each["kwargs"] for each in events if each["type"] == "task-received" and each["uuid"] == job]


@pytest.mark.parametrize("way", WAYS)
def test_monitors_show_the_ids_of_a_job_whichever_way_its_message_came(shop, events, way):
    row = {"order_id": f"PED-{way}", "text": MARK}

    job = WAYS[way](shop, row)

    key = identify(shop.order.job_spec, row).key
    eventually(lambda: received(events, job))
    assert received(events, job) == [repr({"order_id": row["order_id"], "key": key[:16]})]


def test_monitors_show_the_ids_of_a_job_whose_message_is_sent_again(shop, events):
    row = {"order_id": "PED-again", "text": MARK}
    shop.calls.errors["PED-again"] = [Transient("overloaded")]

    job = shop.order.enqueue(row).job

    eventually(lambda: len(received(events, job)) == 2)
    assert 1 == len(set(received(events, job)))
    assert "'order_id': 'PED-again'" in received(events, job)[1]


def states_of(events, job):
    """Every state in which monitors show *job*, in order; and what they show of its end."""
    seen, states = State(), []
    for event in [each for each in events if each.get("uuid") == job]:
        seen.event(dict(event))
        states.append(seen.tasks[job].state)
    return states, seen.tasks[job].exception if states else None


def test_parked_job_is_shown_as_parked_until_it_runs_again(shop, events):
    shop.calls.errors["PED-parked"] = [Postponed("rate_limited", retry_after=1.0)]

    job = shop.order.enqueue({"order_id": "PED-parked", "text": MARK}).job

    eventually(lambda: "SUCCESS" in states_of(events, job)[0], 30)
    states, why = states_of(events, job)
    assert states == ["RECEIVED", "STARTED", "RETRY", "PARKED", "RECEIVED", "STARTED", "SUCCESS"]
    assert re.fullmatch(r"rate_limited, again in \d+\.\d s", why)


def test_attaching_to_a_job_sends_no_event(shop, events, gate):
    shop.calls.gates["PED-shared"] = gate
    row = {"order_id": "PED-shared", "text": MARK}
    job = shop.order.enqueue(row).job
    eventually(lambda: "STARTED" in states_of(events, job)[0])

    asked = [shop.order.enqueue(row).job for _ in range(5)]
    gate.set()

    eventually(lambda: "SUCCESS" in states_of(events, job)[0])
    assert asked == [job] * 5
    assert states_of(events, job)[0] == ["RECEIVED", "STARTED", "SUCCESS"]


def test_quarantined_job_is_shown_as_such_with_the_command_that_replays_it(shop, events):
    shop.calls.errors["PED-spent"] = [Transient("overloaded") for _ in range(3)]

    asked = shop.order.enqueue({"order_id": "PED-spent", "text": MARK})

    eventually(lambda: "QUARANTINED" in states_of(events, asked.job)[0], 30)
    states, shown = states_of(events, asked.job)
    assert states[-3:] == ["STARTED", "FAILURE", "QUARANTINED"]
    assert "reason='overloaded'" in shown
    assert shown.endswith(f"celery -A watched askonce dead replay {asked.key}')")


def test_failure_that_no_command_replays_names_none(shop, events):
    shop.calls.errors["PED-gone"] = [Permanent("not_found")]

    job = shop.order.enqueue({"order_id": "PED-gone", "text": MARK}).job

    eventually(lambda: "FAILURE" in states_of(events, job)[0])
    states, shown = states_of(events, job)
    assert states == ["RECEIVED", "STARTED", "FAILURE"]
    assert "cure" not in shown


def test_child_of_a_pool_says_that_a_job_is_parked():
    parked = pickle.loads(pickle.dumps(Parked("rate_limited, again in 1.0 s")))

    assert (type(parked), str(parked)) == (Parked, "rate_limited, again in 1.0 s")


def test_job_without_result_shows_how_it_ended(shop, events):
    job = shop.once.producer.enqueue(shop.total.job_spec, {"numbers": [4711]}).job
    eventually(lambda: [each for each in events if each["type"] == "task-succeeded" and each["uuid"] == job])

    [shown] = [each["result"] for each in events if each["type"] == "task-succeeded" and each["uuid"] == job]
    assert shown.startswith(
        "{'outcome': 'done', 'source': 'call', 'cost_usd': None, 'tokens': None, 'attempts': 1, "
    )
