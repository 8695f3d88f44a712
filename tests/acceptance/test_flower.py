"""Flower's pages, on each kind of broker: that they show what they should, and no payload."""

import html
import json
import re
from contextlib import ExitStack, contextmanager
from urllib.parse import quote

import pytest
from flower.urls import handlers
from tornado.web import RequestHandler

from sandbox.server import free_port
from sandbox.valkey import Valkey
from tests.acceptance.flowers import Flower, Place, on_redis_with_users
from tests.acceptance.papers import env_of
from tests.deadlines import eventually, stretched
from tests.preloaded import Machine
from tests.servers.rabbitmq import RabbitMQ

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.redis_broker("chooses its brokers itself"),
]

MARK, NAME = "segredo-4711", "watched@here"
ORDER, FOREIGN = "PED-1", "C-2"
ANSWERED = ("orders.enrich", "SUCCESS")
#: Flower's pages, and what answers each.
PAGES = [
    rule[:2] if isinstance(rule, tuple) else (rule.regex.pattern.rstrip("$"), rule.target)
    for rule in handlers
]
#: What any other page answers, and the rows of the page of tasks: nothing changes.
HARMLESS = {".*", "/tasks/datatable"}
#: The other pages that take a POST, with a place for the name of a worker, a task or a job.
CHANGES = sorted({page for page, handler in PAGES if handler.post is not RequestHandler.post} - HARMLESS)


@contextmanager
def on_redis_over_tls(_folder, papers, binary):
    with Valkey(binary=binary, papers=papers) as server:
        env = {"REDIS_URL": server.url, "CELERY_BROKER_URL": server.url, **env_of(papers)}
        yield Place("rediss", "askonce", dict.fromkeys(("producer", "worker", "flower"), env))


@contextmanager
def on_rabbitmq(_folder, _papers, _binary):
    port = free_port()
    options = f"management.tcp.port = {port}\nmanagement.tcp.ip = 127.0.0.1"
    with RabbitMQ(options=options, plugins=("rabbitmq_management",)) as server:
        env = {"CELERY_BROKER_URL": server.url_of(server.new_host())}
        api = f"--broker-api=http://guest:guest@127.0.0.1:{port}/api/"
        roles = dict.fromkeys(("producer", "worker", "flower"), env)
        yield Place("amqp", "jobs:askonce", roles, options=(api,), secrets=["guest:guest"])


class Watched(Flower):
    """A Flower, and a worker that answered two jobs, runs one and leaves two in the queue."""

    def start(self):
        self.machine._extra.update(self.place.roles["worker"])
        self.machine.start_worker("-P", "threads", "-c", "1", "--hostname", NAME)
        super().start()
        eventually(lambda: "flower_worker_online{" in self.get("metrics"), 60)

    def work(self, start, submit):
        order = {"order_id": ORDER, "cliente_id": 1, "nota": MARK}
        sent_by = self.place.roles["producer"]
        assert 0 == submit(self.machine, "orders.enrich", [order], "--wait", **sent_by).code
        kwargs = json.dumps({"cliente_id": FOREIGN, "nota": MARK})
        foreign = ("call", "customers.lookup", "--kwargs", kwargs)
        told = start(self.machine, "-m", "celery", "-A", "worker.app", *foreign, **sent_by).finish()
        assert 0 == told.code, told.err
        eventually(lambda: 2 == sum(task["state"] in ("SUCCESS", "FAILURE") for task in self.tasks()), 60)
        self.machine.control(hold=True)
        more = [{"order_id": f"PED-{n}", "cliente_id": n, "nota": MARK} for n in (3, 4, 5)]
        assert 0 == submit(self.machine, "orders.enrich", more, **sent_by).code
        assert self.machine.wait_for_held(1, stretched(30))

    def order(self):
        """Return the order that was answered."""
        answered = [each for each in self.tasks() if (each["name"], each["state"]) == ANSWERED]
        return min(answered, key=lambda each: each["received"])

    def queues(self, page):
        """Return the rows of the page of the broker: a name and the number of its messages."""
        rows = re.findall(r'<tr id=".*?</tr>', page, re.DOTALL)
        cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
        return {cell[0]: html.unescape(re.sub(r"<.*?>", "", cell[1])).strip() for cell in cells}

    def shows_queue(self, page):
        # RabbitMQ counts the one that runs, and on a slow machine that may end.
        return self.queues(page).get(self.place.queue) in ("1", "2", "3")


@pytest.fixture(
    scope="module",
    params=[
        on_redis_with_users,
        pytest.param(on_redis_over_tls, marks=pytest.mark.redis),
        pytest.param(on_rabbitmq, marks=pytest.mark.rabbitmq),
    ],
    ids=["redis with users", "redis over tls", "rabbitmq"],
)
def served(request, customers, tmp_path_factory):
    """A place, and a machine whose roles use it."""
    binary = request.getfixturevalue("redis_server")._binary if "tls" in request.param.__name__ else None
    papers = request.getfixturevalue("papers") if binary else None
    outside = {"failure_rate": 0, "customers": customers}
    with ExitStack() as stack:
        place = stack.enter_context(request.param(tmp_path_factory.mktemp("place"), papers, binary))
        env = {"CUSTOMER_API_TIMEOUT": "45"}
        yield place, stack.enter_context(Machine(outside=outside, env=env))


@pytest.fixture(scope="module")
def watching(served):
    """Start everything once for a place."""
    return Watched(*served)


@pytest.fixture
def watched(watching, start, submit):
    if not watching.machine.workers:
        watching.start()
        watching.work(start, submit)
    return watching


def test_flower_lists_the_jobs_without_their_payloads(watched):
    tasks = watched.tasks()

    ended = {(task["name"], task["state"]) for task in tasks if task["state"] != "STARTED"}
    assert {ANSWERED} < ended
    order = watched.order()
    run = "'run': 'orders\\.enrich-[^']+'"
    shown = rf"\{{'order_id': '{ORDER}', 'cliente_id': '1', 'key': '[0-9a-f]{{16}}', {run}}}"
    assert re.fullmatch(shown, html.unescape(order["kwargs"]))
    assert "'outcome': 'done', 'source': 'call'" in html.unescape(order["result"])
    pages = [json.dumps(tasks), watched.get("api/tasks"), *(watched.get(f"task/{t['uuid']}") for t in tasks)]
    assert [] == [page for page in pages if MARK in page]


def test_flower_shows_the_worker_and_what_it_runs(watched):
    page = watched.get(f"worker/{quote(NAME)}")

    assert all(word in page for word in ("worker.pool:TaskPool", watched.place.queue, "orders.enrich"))
    assert [] == [secret for secret in (MARK, *watched.place.secrets) if secret in page]


def test_flower_shows_the_length_of_the_queue(watched):
    # RabbitMQ counts every five seconds.
    eventually(lambda: watched.shows_queue(watched.get("broker")), 60)

    page = watched.get("broker")
    assert f"{watched.place.scheme}://" in page
    assert [] == [secret for secret in watched.place.secrets if secret in page]


def test_flower_finds_a_job_by_its_id_whoever_sent_it(watched):
    [order], [foreign] = (
        watched.tasks(f"kwargs:{name}") for name in (f"order_id={ORDER}", f"cliente_id={FOREIGN}")
    )

    assert order["uuid"] == watched.order()["uuid"]
    assert foreign["name"] == "customers.lookup"
    assert watched.tasks("kwargs:order_id=PED-") == []


@pytest.mark.parametrize("page", ["", "tasks", "broker", f"worker/{NAME}", "api/tasks", "api/workers"])
@pytest.mark.parametrize("login", [None, "ana:wrong", "rui:geheim-4712"])
def test_page_needs_the_login(watched, page, login):
    status, text = watched.ask(page, login=login)

    assert (status, text) == (401, "Access denied") if "api" not in page else status == 401


def test_every_request_that_would_change_something_is_refused(watched):
    answers = {}
    for pattern in CHANGES:
        about = "orders.enrich" if "apply" in pattern or "send-task" in pattern else NAME
        about = watched.order()["uuid"] if "revoke" in pattern or "abort" in pattern else about
        page = re.sub(r"\(\..\)", quote(about), pattern).lstrip("/")
        answers[page] = (watched.ask(page, "POST")[0], watched.ask(page, "POST", login=None)[0])

    assert len(answers) >= 14
    assert dict.fromkeys(answers, (403, 401)) == answers
    # Those that were submitted, and no message of Flower's.
    assert len(watched.tasks()) <= 5
    assert NAME in json.loads(watched.get("api/workers?refresh=1"))
