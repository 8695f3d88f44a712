import os
import shutil
import signal
import threading
from fractions import Fraction
from functools import partial
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings
from pytest_timeout import timeout_sigalrm
from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.adapters.redis.servers import connect
from askonce.record import BUCKETS
from sandbox.valkey import Valkey
from tests import deadlines
from tests.brokers import RabbitQueue, RedisQueue
from tests.records import patient_options
from tests.servers.clusters import Cluster
from tests.servers.rabbitmq import RabbitMQ, find_server

# A server or a thread may stall on a busy machine: the time of one example says nothing.
_ANY_TIME = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("short", max_examples=30, derandomize=True, **_ANY_TIME)
settings.register_profile("long", max_examples=200, derandomize=True, **_ANY_TIME)
settings.register_profile("search", max_examples=2000, **_ANY_TIME)
#: How many examples each property gets: "short" in `make test`, "long" in `make test-all`, each time the same
#: ones; "search" looks for new ones.
settings.load_profile(os.environ.get("SUITE_LENGTH", "short"))


REDIS_SERVER = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
#: Where the machines' messages go: "rabbitmq", or to the records' server.
SUITE_BROKER = os.environ.get("SUITE_BROKER", "")


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item, settings):
    """Stretch the limit of a whole test like every other deadline, when its time is over."""
    if threading.current_thread() is not threading.main_thread():
        return None  # no signals here: pytest-timeout's own timer does

    began = monotonic()

    def look(*_):
        left = deadlines.stretched(settings.timeout) - (monotonic() - began)
        if left > 0:
            signal.setitimer(signal.ITIMER_REAL, left)
        else:
            timeout_sigalrm(item, settings)

    item.cancel_timeout = partial(signal.setitimer, signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, settings.timeout)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave prefork to `make test-all` where a test runs on threads too, which are the project's own pool."""
    ids = {item.nodeid for item in items}
    for item in items:
        if "prefork" in item.nodeid and item.nodeid.replace("prefork", "threads") in ids:
            item.add_marker(pytest.mark.long)


def pytest_runtest_setup(item):
    if REDIS_SERVER is None and item.get_closest_marker("redis"):
        pytest.skip("no redis-server on PATH; REDIS_SERVER may name one")
    needs_rabbitmq = SUITE_BROKER == "rabbitmq" or item.get_closest_marker("rabbitmq")
    if needs_rabbitmq and find_server() is None:
        pytest.skip("no rabbitmq-server on PATH; RABBITMQ_SERVER may name one")
    if item.get_closest_marker("browser") and shutil.which("chromium") is None:
        pytest.skip("no chromium on PATH")
    if item.get_closest_marker("promtool") and shutil.which("promtool") is None:
        pytest.skip("no promtool on PATH")
    if SUITE_BROKER and (only := item.get_closest_marker("redis_broker")):
        pytest.skip(f"SUITE_BROKER={SUITE_BROKER}: {only.args[0]}")


class Clock:
    """A store's clock that only a test moves; exact, so that boundaries are what they say."""

    #: Beyond the year 2100 in microseconds: the server, which has its own clock, removes nothing by itself.
    START = 4_102_444_800_000_000

    def __init__(self, publish=lambda micros: None):
        self._publish = publish
        self.set(self.START)

    def __call__(self):
        return Fraction(self.micros, 1_000_000)

    def set(self, micros):
        self.micros = micros
        self._publish(micros)

    def advance(self, seconds):
        self.set(self.micros + round(seconds * 1_000_000))


class ServerClock(Clock):
    """The same for the scripts of a server: `lua` reads the whole time from one key."""

    lua = "local function clock() return tonumber(redis.call('GET', 'test:clock')) end\n"

    def __init__(self, client):
        super().__init__(lambda micros: client.set("test:clock", micros))


class ClusterClock(Clock):
    """The same for a cluster, whose scripts may read in their own slot only: one key for each bucket."""

    lua = "local function clock() return tonumber(redis.call('GET', KEYS[1]:match('{.-}') .. ':clock')) end\n"

    def __init__(self, link, namespace):
        self._link, self._namespace = link, namespace
        super().__init__(self._set)

    def _set(self, micros):
        slots = ["tally", *(f"b{bucket:02x}" for bucket in range(BUCKETS))]
        keys = [f"{{askonce:{self._namespace}:{slot}}}:clock" for slot in slots]
        self._link.ask(*(("EVAL", "redis.call('SET', KEYS[1], ARGV[1])", 1, key, micros) for key in keys))


@pytest.fixture(scope="session")
def cluster():
    """Three nodes for all tests; a test that kills one starts its own."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def new_cluster_store():
    """Make a store on a cluster, with a clock of its own as `clock`."""

    def make(cluster):
        link = connect(cluster.url, patient_options())
        store = RedisStore(link, namespace="test", clock=ClusterClock.lua)
        store.clock = ClusterClock(link, "test")
        return store

    return make


@pytest.fixture(scope="session")
def valkey():
    """One server for all tests; a test that kills it starts its own."""
    with Valkey() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server():
    """The same as a Redis; for tests that are marked `redis`."""
    with Valkey(binary=Path(REDIS_SERVER)) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq():
    """One server for all tests, each with a virtual host of its own; a test that kills it starts its own."""
    with RabbitMQ() as server:
        yield server


@pytest.fixture(scope="session")
def new_broker(request):
    """Return Machine's option of a broker that has no messages yet; the empty one is the records' server."""
    if SUITE_BROKER != "rabbitmq":
        return lambda: None
    server = request.getfixturevalue("rabbitmq")
    return lambda: server.url_of(server.new_host())


@pytest.fixture(scope="session")
def queue_of():
    """Return the queue of a machine's broker."""

    def look(machine):
        url = urlsplit(machine.env["CELERY_BROKER_URL"])
        if url.scheme == "amqp":
            return RabbitQueue(url.port, url.path[1:])
        return RedisQueue(machine.valkey.url)

    return look


@pytest.fixture
def store_url(valkey):
    """An empty server."""
    return _emptied(valkey)


@pytest.fixture
def client(store_url):
    with Redis.from_url(store_url) as client:
        yield client


@pytest.fixture
def new_server_clock():
    """Make a clock for the stores of one client: give its `lua` to RedisStore as clock."""
    return ServerClock


@pytest.fixture
def server_clock(client):
    """A clock for stores on `client`."""
    return ServerClock(client)


@pytest.fixture
def shifted_store(client, server_clock):
    """A store on the shared server whose clock is `server_clock`."""
    store = RedisStore(client, namespace="test", clock=server_clock.lua)
    yield store
    store.close()


@pytest.fixture(scope="session")
def eventually():
    """Wait until a condition holds; returns what it returned, or fails after some seconds."""
    return deadlines.eventually


@pytest.fixture
def clock():
    """A clock for stores in memory."""
    return Clock()


def _emptied(server):
    with Redis.from_url(server.url) as client:
        client.flushall()
    return server.url
