import socket
from threading import Thread

import pytest
from celery import Celery

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.celery.sender import CelerySender
from askonce.adapters.redis import RedisStore
from askonce.errors import SendFailed, StoreUnavailable
from askonce.message import Message
from askonce.outcomes import Admitted
from askonce.spec import JobSpec
from tests.deadlines import stretched
from tests.jobs import new_job
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.integration

#: Without a bound, each of these calls waits for ever.
MUCH_LATER = 30.0


class App:
    """A Celery app with kombu's own times, which has enqueued nothing yet."""

    def __init__(self, url):
        self.app = Celery("first", broker=url, set_as_current=False)
        self.app.conf.task_default_queue = "first"
        self.app.conf.task_publish_retry_policy = {"max_retries": 1, "interval_start": 0}
        self.once = AskOnce(self.app, store=lambda: RedisStore.from_url(url, namespace="first"))

        @self.app.task(name="first", base=IdempotentTask, spec=JobSpec(), shared=False)
        def first(n):
            return n

        self.task = first

    def close(self):
        self.once.process().store.close()
        self.app.close()

    def sends_in_one_step(self):
        return any(task == "first" for task, _ in self.once.producer.publish._templates)


@pytest.fixture
def new_app():
    apps = []

    def make(url):
        apps.append(App(url))
        return apps[-1]

    yield make
    for app in apps:
        app.close()


@pytest.fixture
def closed_url():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{taken.getsockname()[1]}/0"


@pytest.fixture
def hanging_url():
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture(params=["closed", "hanging"])
def dead_url(request):
    return request.getfixturevalue(f"{request.param}_url")


def error_within(seconds, call):
    """Return what *call* raised; fail when it has not returned in time."""
    raised = []

    def run():
        try:
            call()
        except Exception as error:  # noqa: BLE001  # the assertion names what it should be
            raised.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(stretched(seconds))
    assert not thread.is_alive(), f"blocked for {seconds} s"
    return raised[0] if raised else None


def test_first_enqueue_fails_as_soon_as_the_store_does(new_app, dead_url):
    app = new_app(dead_url)

    error = error_within(MUCH_LATER, lambda: app.task.enqueue({"n": 1}))

    assert isinstance(error, StoreUnavailable)


def test_first_enqueue_waits_for_the_store_alone(new_app, tcp_server):
    with Proxy(tcp_server.port) as proxy, proxy.blocked():
        app = new_app(f"redis://127.0.0.1:{proxy.port}/0")
        error_within(MUCH_LATER, lambda: app.task.enqueue({"n": 1}))

        # The store's two tries; kombu, whose waits are longer, has not connected.
        assert 2 == proxy.taken


def test_failed_first_enqueue_is_not_remembered(new_app, tcp_server):
    with Proxy(tcp_server.port) as proxy:
        app = new_app(f"redis://127.0.0.1:{proxy.port}/0")
        with proxy.refusing():
            error = error_within(MUCH_LATER, lambda: app.task.enqueue({"n": 1}))

        outcome = app.task.enqueue({"n": 1})

    assert isinstance(error, StoreUnavailable)
    assert (Admitted, True) == (type(outcome), app.sends_in_one_step())


def test_broker_that_hangs_at_the_first_message_ends_by_itself(new_app, tcp_server):
    with Proxy(tcp_server.port) as proxy:
        app = new_app(f"redis://127.0.0.1:{proxy.port}/0")
        app.once.process().store.read(["0" * 64])
        blocked = proxy.block_at(b"_kombu.binding")  # the first thing that kombu writes
        error = error_within(MUCH_LATER, lambda: app.task.enqueue({"n": 2}))
        assert blocked.is_set()
        proxy.unblock()

    assert isinstance(error, StoreUnavailable | SendFailed)
    assert not app.sends_in_one_step()


def test_send_to_a_broker_that_is_dead_fails_in_time(new_app, dead_url):
    sender = CelerySender(new_app(dead_url).app)

    error = error_within(MUCH_LATER, lambda: sender.send(Message(new_job("0a" * 32, task="first"))))

    assert isinstance(error, SendFailed)


@pytest.mark.long
def test_send_on_a_link_that_hangs_fails_in_time(new_app, tcp_server):
    with Proxy(tcp_server.port) as proxy:
        sender = CelerySender(new_app(f"redis://127.0.0.1:{proxy.port}/0").app)
        message = Message(new_job("0a" * 32, task="first"))
        sender.send(message)

        with proxy.blocked():
            error = error_within(MUCH_LATER, lambda: sender.send(message))

        assert isinstance(error, SendFailed)
        sender.send(message)


def test_times_that_the_app_sets_are_kept(new_app, closed_url):
    app = new_app(closed_url).app
    app.conf.broker_transport_options = {"socket_timeout": 7}

    options = CelerySender(app)._new_pool().connections.connection.transport_options

    assert (7, 2.0) == (options["socket_timeout"], options["socket_connect_timeout"])
