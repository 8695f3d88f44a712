import json
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from hashlib import sha1
from itertools import count, takewhile
from pathlib import Path
from threading import Event as Signal
from threading import Lock

import httpx2
import openai
import pytest
from celery import Celery, signals
from redis import Redis

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.redis import RedisStore
from askonce.adapters.redis.scripts import sources
from askonce.errors import Permanent, Transient
from askonce.spec import JobSpec, RetryPolicy
from sandbox.valkey import Valkey
from tests.deadlines import stretched
from tests.integration.embedded import embedded_worker
from tests.integration.two_producers import TwoProducers
from tests.servers.clusters import Cluster

_numbers = count(1)
ROOT = Path(__file__).parents[2]
ANSWERS = ROOT / "tests" / "answers.jsonl"
DEADLINE_SECONDS = 20


class Calls:
    """What the task bodies of one app were asked, and what they shall do."""

    def __init__(self):
        self._lock, self._asked, self.errors, self.gates = Lock(), [], {}, {}

    def make(self, name, *payload):
        with self._lock:
            self._asked.append((name, *payload))
            errors = self.errors.get(payload[0])
            error = errors.pop(0) if errors else None
        gate = self.gates.get(payload[0])
        if gate is not None:
            assert gate.wait(stretched(10))
        if error is not None:
            raise error

    def of(self, number):
        """Return the calls whose first argument is *number*."""
        with self._lock:
            return [call for call in self._asked if call[1] == number]


class Shop:
    """One Celery app with askonce and some tasks, on one server."""

    schedule = ()

    def __init__(self, server, name, **conf):
        self.server, self.calls, self.heard = server, Calls(), []
        self.app = Celery(name, broker=server.url, set_as_current=False)
        self.app.conf.update(
            broker_connection_retry_on_startup=True,
            broker_transport_options={"global_keyprefix": f"{name}:"},
            task_acks_late=True,
            task_default_queue=name,
            worker_hijack_root_logger=False,
            worker_redirect_stdouts=False,
            worker_disable_prefetch=True,
            worker_prefetch_multiplier=1,
            **conf,
        )
        self.once = AskOnce(
            self.app,
            store=lambda: RedisStore.from_url(server.url, namespace=name),
            listen=self.heard.append,
            reap_interval=0.2,
            schedule=self.schedule,
        )
        self._add_tasks(self.calls)

    def _add_tasks(self, calls):
        spec = JobSpec(retry=RetryPolicy(max_attempts=3, base=0.02))

        @self.app.task(name="add", base=IdempotentTask, spec=spec, shared=False)
        def add(n, more=1):
            calls.make("add", n, more)
            return n + more

        @self.app.task(name="total", base=IdempotentTask, spec=spec, shared=False)
        def total(numbers):
            return sum(numbers)

        @self.app.task(name="note", shared=False)
        def note(answer, number):
            calls.make("note", number, answer)

        self.add, self.total, self.note = add, total, note

    @property
    def store(self):
        return self.once.process().store

    def names(self, job):
        """Return the events of one job, in order."""
        return [event.name for event in self.heard if event.job == job]

    def drained(self):
        """Tell whether no message waits and none is under way."""
        with Redis.from_url(self.server.url) as client:
            return not client.exists(f"{self.app.main}:{self.app.main}", f"{self.app.main}:unacked")

    def without_letters(self):
        """Return this shop when the dead letters of other tests are gone."""
        dead = self.store.letters
        dead.drop([message.id for message in dead.dead_messages()])
        return self

    @contextmanager
    def worker(self, concurrency=8):
        """Run a worker in this process, where Celery allows one at a time."""
        try:
            with embedded_worker(self.app, pool="threads", concurrency=concurrency):
                yield self
        finally:
            # Celery ends an embedded worker as on a cold shutdown, which leaves its threads to the process.
            self.once.process().reaper.stop()
            self.once.process().announcer.stop()
            self.once.process().pause_watch.stop()


@pytest.fixture(scope="session")
def tcp_server():
    with Valkey(tcp=True) as server:
        yield server


@pytest.fixture
def own_cluster():
    """A cluster that a test may break; its first node has a replica."""
    with Cluster(replicas=1) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def new_shop(tcp_server):
    """Make a Celery app of this name on the server."""
    return lambda name, **conf: Shop(tcp_server, name, **conf)


@pytest.fixture
def new_scene(tcp_server):
    """Make a producer in one step and one in two, on the emptied server."""
    with ExitStack() as stack:
        yield lambda **conf: stack.enter_context(closing(TwoProducers(tcp_server.url, **conf)))


@pytest.fixture
def scene(new_scene):
    return new_scene()


@pytest.fixture(scope="module")
def plain(new_shop):
    """An app as it should be run, and its worker."""
    with new_shop("plain").worker() as shop:
        yield shop


@pytest.fixture(scope="module")
def kept(new_shop, tcp_server):
    """The same with Celery's own results switched on."""
    prefix = {"global_keyprefix": "kept:"}
    shop = new_shop("kept", result_backend=tcp_server.url, result_backend_transport_options=prefix)
    shop.add.ignore_result = shop.total.ignore_result = False
    with shop.worker():
        yield shop


@pytest.fixture
def number():
    """A number that no other test asks for."""
    return next(_numbers) * 1000


@pytest.fixture
def gate():
    """A gate for `calls.gates`; open after the test in any case."""
    gate = Signal()
    yield gate
    gate.set()


@pytest.fixture
def errors():
    return {"transient": Transient("http_503"), "permanent": Permanent("http_404")}


@pytest.fixture
def commands(tcp_server):
    """Return what a function made the server be asked: our scripts by their verbs, the rest by name."""
    verbs = {sha1(text.encode()).hexdigest(): verb for verb, text in sources().items()}
    watcher, speaker = Redis.from_url(tcp_server.url), Redis.from_url(tcp_server.url)

    def name(words):
        # kombu has scripts of its own: it sweeps the bindings of reply queues from time to time.
        return verbs.get(words[1], "EVALSHA") if words[0].upper() == "EVALSHA" else words[0].upper()

    def watch(function):
        with watcher.monitor() as monitor:
            heard = monitor.listen()
            function()
            speaker.echo("end of the test")
            said = takewhile(lambda each: "end of the test" not in each["command"], heard)
            named = [name(each["command"].split()) for each in said if each["client_type"] != "lua"]
            # A connection that is made anew, on a busy machine or by a thread, is nobody's question.
            return [each for each in named if each != "HELLO"]

    speaker.ping()
    yield watch
    watcher.close()
    speaker.close()


@pytest.fixture
def ended():
    """How each message ended, as Celery tells it: lists of (state, task id)."""
    heard = []

    def on_retry(request=None, **_):
        heard.append(("RETRY", request.id))

    def on_failure(task_id=None, exception=None, **_):
        heard.append((type(exception).__name__, task_id))

    def on_success(sender=None, **_):
        heard.append(("SUCCESS", sender.request.id))

    signals.task_retry.connect(on_retry)
    signals.task_failure.connect(on_failure)
    signals.task_success.connect(on_success)
    yield heard
    signals.task_retry.disconnect(on_retry)
    signals.task_failure.disconnect(on_failure)
    signals.task_success.disconnect(on_success)


@dataclass
class Running:
    ledger: Path
    url: str
    openai_base_url: str
    http: httpx2.Client
    process: subprocess.Popen

    def openai(self, key="sk-sandbox"):
        return openai.OpenAI(base_url=self.openai_base_url, api_key=key, max_retries=0)

    def set(self, **settings):
        answer = self.http.post("/control", json=settings)
        assert answer.status_code == 200, answer.text

    @property
    def state(self):
        return self.http.get("/control").json()

    def wait_for_held(self, count):
        state = self.http.get(
            "/control", params={"held": count, "seconds": stretched(DEADLINE_SECONDS)}
        ).json()
        assert state["held"] == count


def _command(ledger, *options):
    return [sys.executable, "-m", "sandbox.outside.stand_in", "--ledger", str(ledger), *options]


@contextmanager
def _started(ledger):
    options = ("--failure-rate", "0", "--answers", str(ANSWERS))
    with subprocess.Popen(_command(ledger, *options), cwd=ROOT, stdout=subprocess.PIPE) as process:
        ready = json.loads(process.stdout.readline())
        with httpx2.Client(base_url=ready["customer_api_url"], timeout=None) as http:
            yield Running(ledger, ready["customer_api_url"], ready["openai_base_url"], http, process)
        process.terminate()


@pytest.fixture
def stand_in(tmp_path):
    with _started(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def stand_in_started():
    """Start a stand-in for more than one test."""
    return _started


@pytest.fixture
def stand_in_command():
    return _command
