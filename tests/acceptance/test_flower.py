"""Flower's pages, on each kind of broker: that they show what they should, and no payload."""

import html
import json
import re
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode
from urllib.request import urlopen

import pytest

from sandbox.machine import wait_for
from sandbox.server import free_port
from sandbox.valkey import Valkey
from tests.acceptance.papers import env_of
from tests.deadlines import eventually, stretched
from tests.preloaded import Machine
from tests.servers.rabbitmq import RabbitMQ

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.redis_broker("chooses its brokers itself"),
]

ACL = Path(__file__).parents[2] / "deploy" / "acl"
MARK, NAME = "segredo-4711", "watched@here"
ANSWERED = ("orders.enrich", "SUCCESS")
#: What the page of tasks asks its server for.
TABLE = {"draw": 1, "start": 0, "length": 50, "order[0][column]": 0, "columns[0][data]": "name"}


@dataclass
class Place:
    """A broker: the environments of a role, and what Flower has to be told."""

    scheme: str
    queue: str
    roles: dict[str, dict[str, str]]
    options: tuple[str, ...] = ()
    secrets: list[str] = field(default_factory=list)


@contextmanager
def on_redis_with_users(tmp_path, _papers, _binary):
    users = tmp_path / "users.acl"
    users.write_text("".join(path.read_text() for path in sorted(ACL.glob("*.acl"))))
    with Valkey(tcp=True, options=f'aclfile "{users}"') as server:
        roles = {}
        for role in ("producer", "worker", "flower"):
            url = f"redis://{role}:change-me-{role}@127.0.0.1:{server.port}/0"
            roles[role] = {"REDIS_URL": url, "CELERY_BROKER_URL": url}
        yield Place("redis", "askonce", roles, secrets=["change-me"])


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


class Watched:
    """A Flower, and a worker that answered two jobs, runs one and leaves two in the queue."""

    def __init__(self, place, machine):
        self.place, self.machine, self.port = place, machine, free_port()
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self):
        self.machine._extra.update(self.place.roles["worker"])
        self.machine.start_worker("-P", "threads", "-c", "1", "--hostname", NAME)
        log = self.machine.folder / "flower.log"
        command = ("-m", "celery", "-A", "worker.app", "flower", "--address=127.0.0.1", f"--port={self.port}")
        options = {"log": log, "ended_by": "SIGKILL", "env": self.place.roles["flower"]}
        flower = self.machine.spawn(*command, *self.place.options, **options)
        self.machine.workers.append(flower)
        wait_for(lambda: b"Connected to" in log.read_bytes(), flower, log)
        eventually(lambda: "flower_worker_online{" in self.get("metrics"), 60)

    def work(self, start, submit, tmp_path):
        order = {"order_id": MARK, "cliente_id": 1, "nota": MARK}
        sent_by = self.place.roles["producer"]
        assert 0 == submit(self.machine, "orders.enrich", [order], "--wait", **sent_by).code
        foreign = ("call", "customers.lookup", "--kwargs", json.dumps({"cliente_id": f"{MARK}-2"}))
        told = start(self.machine, "-m", "celery", "-A", "worker.app", *foreign, **sent_by).finish()
        assert 0 == told.code, told.err
        eventually(lambda: 2 == sum(task["state"] in ("SUCCESS", "FAILURE") for task in self.tasks()), 60)
        self.machine.control(hold=True)
        more = [{"order_id": f"{MARK}-{n}", "cliente_id": n} for n in (3, 4, 5)]
        assert 0 == submit(self.machine, "orders.enrich", more, **sent_by).code
        assert self.machine.wait_for_held(1, stretched(30))

    def get(self, page):
        with urlopen(f"{self.address}/{page}", timeout=stretched(60)) as answer:
            return answer.read().decode()

    def tasks(self):
        return json.loads(self.get(f"tasks/datatable?{urlencode(TABLE)}"))["data"]

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
        env = {"FLOWER_UNAUTHENTICATED_API": "true", "CUSTOMER_API_TIMEOUT": "45"}
        yield place, stack.enter_context(Machine(outside=outside, env=env))


@pytest.fixture(scope="module")
def watching(served):
    """Start everything once for a place."""
    return Watched(*served)


@pytest.fixture
def watched(watching, start, submit, tmp_path):
    if not watching.machine.workers:
        watching.start()
        watching.work(start, submit, tmp_path)
    return watching


def test_flower_lists_the_jobs_without_their_payloads(watched):
    tasks = watched.tasks()

    ended = {(task["name"], task["state"]) for task in tasks if task["state"] != "STARTED"}
    assert {ANSWERED} < ended
    order = watched.order()
    assert re.fullmatch(r"\{'key': '[0-9a-f]{16}'}", html.unescape(order["kwargs"]))
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


class Browser:
    """A Chromium that shows one page at a time; no request leaves this machine."""

    def __init__(self, binary, folder):
        self._command = [
            binary,
            "--headless=new",
            "--no-sandbox",  # needs a user of its own
            "--no-first-run",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"--user-data-dir={folder}/profile",
            "--window-size=1400,900",
            "--virtual-time-budget=10000",
        ]
        self._folder = folder

    def look(self, address, name):
        """Return the page as its scripts have made it, and take a picture of it."""
        picture = self._folder / f"{name}.png"
        page = self._run("--dump-dom", address)
        self._run(f"--screenshot={picture}", address)
        assert picture.stat().st_size > 10_000
        return page

    def _run(self, *arguments):
        done = subprocess.run(
            [*self._command, *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=stretched(100),
        )
        return done.stdout


@pytest.mark.browser
@pytest.mark.timeout(300)
def test_browser_shows_the_pages_of_flower(watched, tmp_path):
    browser = Browser(shutil.which("chromium"), tmp_path)
    eventually(lambda: watched.shows_queue(watched.get("broker")), 60)

    tasks = browser.look(f"{watched.address}/tasks", "tasks")
    task = browser.look(f"{watched.address}/task/{watched.order()['uuid']}", "task")
    worker = browser.look(f"{watched.address}/worker/{quote(NAME)}", "worker")
    workers = browser.look(f"{watched.address}/workers", "workers")
    broker = browser.look(f"{watched.address}/broker", "broker")

    assert all(word in tasks for word in (*ANSWERED, watched.order()["uuid"]))
    assert "'outcome': 'done', 'source': 'call'" in html.unescape(task)
    assert "thread:TaskPool" in worker
    assert NAME in workers
    assert watched.shows_queue(broker)
    shown = (tasks, task, worker, workers, broker)
    assert [] == [each for each in (MARK, *watched.place.secrets) if each in "".join(shown)]
