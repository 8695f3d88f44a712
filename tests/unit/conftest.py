from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal
from threading import Thread, current_thread

import click
import pytest
from click.testing import CliRunner

from askonce.adapters.memory import MemoryStore
from askonce.claim import Claim, Terms
from askonce.cli.site import Mount, mount
from askonce.cli.verbs import VERBS
from askonce.decide import admit
from askonce.enqueue import Producer
from askonce.errors import SendFailed, StoreUnavailable
from askonce.execute import Executor
from askonce.execution import Delivery
from askonce.inline import Caller
from askonce.key import identify
from askonce.lease import LeaseRenewer
from askonce.lost import Budget
from askonce.record import BUCKETS
from askonce.runner import Runner
from askonce.spec import JobSpec, RetryPolicy
from askonce.store_down.cache import LocalCache
from askonce.store_down.calls import LocalCalls
from askonce.store_down.spill import Spill
from tests.deadlines import stretched
from tests.jobs import DELIVERED, OneQueue
from tests.unit.gated import Processes

QUESTION = {"currency": "BRL", "day": "2026-11-20"}
ANSWER = {"rate": 5.25}

SPEC = JobSpec(
    name="rates.fetch",
    key_fields=("currency",),
    soft_ttl=60.0,
    hard_ttl=600.0,
    failure_ttl=120.0,
    lease=30.0,
    queue_deadline=60.0,
    retry=RetryPolicy(max_attempts=3, base=5.0, cap=300.0),
)


class Sender(OneQueue):
    """A broker that keeps what it is given, or refuses it."""

    def __init__(self):
        self.sent, self.refuses = [], False

    def send(self, message):
        if self.refuses:
            raise SendFailed(key=message.job.key, job=message.job.id)
        self.sent.append(message)


class Heard(list):
    """Every event, in order."""

    @property
    def names(self):
        return [event.name for event in self]

    def named(self, name):
        return [event for event in self if event.name == name]

    @property
    def undeclared(self):
        """What events carry beside their declared fields, or in another type."""
        return [
            (event.name, name, value)
            for event in self
            for name, value in event.data.items()
            if not isinstance(value, event.type.fields.get(name, ()))
        ]


class Failing:
    """A store whose *verb* does not answer the next *times* times."""

    def __init__(self, store, verb, times, error=None):
        self._store, self._verb = store, verb
        self._error = error or StoreUnavailable(verb=verb, reason="TimeoutError")
        self.left, self.calls = times, 0

    def __getattr__(self, name):
        method = getattr(self._store, name)
        return method if name != self._verb else self._failing(method)

    def _failing(self, method):
        def call(*args, **options):
            self.calls += 1
            if self.left > 0:
                self.left -= 1
                raise self._error
            return method(*args, **options)

        return call


class ProducerAndWorker:
    """One producer and one worker on one store; the clock is the store's, and only a test moves it."""

    question, answer, spec = QUESTION, ANSWER, SPEC

    def __init__(self, clock, heard):
        self.clock, self.sender, self.heard, self.deferred = clock, Sender(), heard, []
        self.failing, self.cache = [], LocalCache(clock=clock)
        self.spill = Spill(interval=0.01, listen=self.heard.append)
        self.use(MemoryStore(clock))

    def use(self, store, spec=None):
        """Go on with *store*, and with *spec* where it is given."""
        self.store, self.spec = store, spec or self.spec
        self.producer = Producer(store=store, sender=self.sender, listen=self.heard.append)
        self.leases = LeaseRenewer(store, listen=self.heard.append)
        self.executor = Executor(
            store=store,
            leases=self.leases,
            spill=self.spill,
            listen=self.heard.append,
            on_deferred=lambda key, after: self.deferred.append((key, after)),
            holder="worker-1:7",
            draw=lambda _low, high: high,
        )
        self.local = LocalCalls(
            store,
            self.cache,
            self.spill,
            listen=self.heard.append,
            holder="worker-1:7",
            budget=3,
            clock=lambda: float(self.clock()),
        )
        self.runner = Runner(executor=self.executor, local=self.local)
        self.caller = Caller(runner=self.runner)

    def fail_on(self, verb, times=10**9, error=None):
        """Let *verb* fail the next *times* times."""
        failing = Failing(self.store, verb, times, error)
        self.failing.append(failing)
        self.use(failing)
        return failing

    def ask(self, question=QUESTION, **options):
        return self.producer.enqueue(self.spec, question, **options)

    def deliver(self):
        """Report that the queue has delivered all of its messages."""
        self.store.reap(range(BUCKETS), DELIVERED, Budget(jobs=0))

    def work(self, body=lambda: ANSWER, number=-1):
        """Execute the message sent last, or the one of *number*."""
        return self.executor.execute(self.delivery(number), body)

    def delivery(self, number=-1):
        return Delivery(spec=self.spec, job=self.sender.sent[number].job)

    def call(self, body=lambda: ANSWER, question=QUESTION, timeout=5.0, job=None, **terms):
        """Ask and answer in this thread."""
        identified, chosen = identify(self.spec, question, job_id=job), Terms.of(self.spec)._replace(**terms)
        return self.caller.call(self.spec, identified, body, timeout=timeout, terms=chosen)

    def decide(self, policy, job=None):
        """Admit and decide; return the decision, and every outcome that the store replied."""
        outcomes = []

        def store_admit(claim):
            reply = self.store.admit(claim)
            outcomes.append(reply.outcome)
            return reply

        claim = Claim(identify(self.spec, QUESTION, job_id=job), Terms.of(self.spec))
        return admit(store_admit, claim, policy, self.heard.append), outcomes

    def run_foreign(self, body=lambda: ANSWER, question=QUESTION):
        """Run a message that something else sent."""
        delivery = Delivery(spec=self.spec, job=identify(self.spec, question))
        return self.runner.admit_and_run(delivery, body)

    def answered(self, question=QUESTION, body=lambda: ANSWER, **options):
        """Ask and work in one go."""
        asked = self.ask(question, **options)
        self.work(body)
        return asked

    def stale(self):
        """An answer that is too old but still kept."""
        asked = self.answered()
        self.clock.advance(self.spec.soft_ttl)
        return asked

    def read(self, key=None):
        return self.store.read([key or self.sender.sent[0].job.key])[0]


@pytest.fixture
def heard():
    """A listener's events; after the test, each has only its declared fields, of the declared types."""
    heard = Heard()
    yield heard
    assert heard.undeclared == []


@pytest.fixture
def scene(clock, heard):
    scene = ProducerAndWorker(clock, heard)
    yield scene
    for failing in scene.failing:
        failing.left = 0
    assert scene.spill.drain(10) == 0, "a thread went on after its test"


@pytest.fixture
def raising():
    """Make a body that raises."""

    def make(error):
        def body():
            raise error

        return body

    return make


class Running:
    """A body that runs in a thread until it is let go."""

    def __init__(self, run):
        self._go, self.began, self.outcome = Signal(), Signal(), None

        def body():
            self.began.set()
            assert self._go.wait(stretched(10)), "never let go"
            return ANSWER

        self._thread = Thread(target=lambda: setattr(self, "outcome", run(body)), daemon=True)
        self._thread.start()
        assert self.began.wait(stretched(10)), "the body never began"

    def finish(self):
        self._go.set()
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.outcome


@pytest.fixture
def running():
    """Start a body in a thread: give it a function that runs a body."""
    started = []

    def start(run):
        started.append(Running(run))
        return started[-1]

    yield start
    for each in started:
        each.finish()


@pytest.fixture
def threads():
    """Run functions in threads."""
    with ThreadPoolExecutor(24) as pool:
        yield pool


@pytest.fixture
def started(monkeypatch):
    """Let no pace have a thread of its own; return those that were to be started."""
    threads = []

    def start(*args):
        threads.append(args)
        return current_thread()

    monkeypatch.setattr("askonce.pace.member.start_thread", start)
    return threads


@pytest.fixture
def processes(started, heard):
    return Processes(heard)


@pytest.fixture
def run_verb():
    """Run a verb of the command line on a site, in this process; it must not raise."""

    def run(site, *arguments):
        by = Mount(open=lambda: site, examine=lambda call: [])
        begin = click.pass_context(lambda context: mount(context, by))
        cli = click.Group("cli", commands=VERBS, callback=begin)
        return CliRunner().invoke(cli, arguments, catch_exceptions=False)

    return run
