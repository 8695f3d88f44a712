import socket
from contextlib import closing

import pytest
from celery import Celery
from redis.exceptions import RedisError

from askonce.adapters.celery import AskOnce
from askonce.adapters.redis import RedisStore
from askonce.adapters.redis.link import BreakerOpen, ServerLink
from askonce.adapters.redis.servers import connect
from askonce.adapters.redis.store import CLIENT_OPTIONS
from askonce.errors import StoreUnavailable
from askonce.store_down.breaker import _ERRORS

pytestmark = pytest.mark.integration

PING = ("PING",)


@pytest.fixture
def closed_url():
    """Nothing listens here."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{taken.getsockname()[1]}/0"


@pytest.fixture
def new_link():
    links = []

    def make(url):
        links.append(ServerLink(connect(url, CLIENT_OPTIONS)))
        return links[-1]

    yield make
    for link in links:
        link.close()


@pytest.fixture
def heard():
    return []


def error_of(call):
    """Return the error that *call* raised; None where it returned."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  # the assertion names what it should be
        return error
    return None


def test_link_opens_its_breaker_after_three_lost_calls(closed_url, new_link):
    link = new_link(closed_url)

    errors = [error_of(lambda: link.ask(PING)) for _ in range(_ERRORS + 1)]

    assert [False] * _ERRORS + [True] == [isinstance(error, BreakerOpen) for error in errors]
    assert all(isinstance(error, RedisError) for error in errors)


def test_link_forgets_its_errors_with_the_next_answer(store_url, new_link):
    link = new_link(store_url)
    for _ in range(_ERRORS - 1):
        link.breaker.failed()

    assert [b"PONG"] == link.ask(PING)
    link.breaker.failed()

    assert (1, False) == (link.breaker.errors, link.breaker.is_open)


def test_call_that_always_goes_closes_an_open_breaker(store_url, new_link, heard):
    link = new_link(store_url)
    link.report_to(lambda event: heard.append(event.name))
    for _ in range(_ERRORS):
        link.breaker.failed()
    kept_off = error_of(lambda: link.ask(PING))

    always = error_of(lambda: link.ask(PING, always=True))

    assert (BreakerOpen, None) == (type(kept_off), always)
    assert [b"PONG"] == link.ask(PING)
    assert ["store.down", "store.connected", "store.up"] == heard


def test_first_connection_of_a_process_is_reported_once(store_url, new_link, heard):
    link = new_link(store_url)
    link.report_to(heard.append)

    link.ask(PING)
    link.close_idle()
    link.ask(PING)

    [event] = heard
    assert ("store.connected", link.place_of("")) == (event.name, event.data["server"])
    assert "@" not in event.data["server"]


def test_store_raises_its_own_error_when_a_listener_raises(closed_url, caplog):
    class Faulty(Exception):
        pass

    def listen(event):
        raise Faulty(event.name)

    with closing(RedisStore.from_url(closed_url, namespace="test", listen=listen)) as store:
        errors = [error_of(lambda: store.read(["0" * 64])) for _ in range(_ERRORS)]

    assert [StoreUnavailable] * _ERRORS == [type(error) for error in errors]
    assert ["a listener raised Faulty on store.down; its events are lost"] == caplog.messages


def go_down_and_up(store, link):
    """Let the breaker open, and let a verb without a caller close it."""
    for _ in range(_ERRORS):
        link.breaker.failed()
    store.reap([0])


@pytest.fixture
def app():
    app = Celery("breakers", broker="memory://", set_as_current=False)
    yield app
    app.close()


def test_store_without_a_listener_reports_to_its_askonce(store_url, new_link, app, heard):
    link = new_link(store_url)
    once = AskOnce(app, store=lambda: RedisStore(link, namespace="test"), listen=heard.append)

    go_down_and_up(once.process().store, link)

    assert ["store.down", "store.connected", "store.up"] == [event.name for event in heard]


def test_store_keeps_its_own_listener_under_askonce(store_url, new_link, app, heard):
    link, others = new_link(store_url), []
    store = RedisStore(link, namespace="test", listen=heard.append)
    AskOnce(app, store=lambda: store, listen=others.append).process()

    go_down_and_up(store, link)

    assert ["store.down", "store.connected", "store.up"] == [event.name for event in heard]
    assert others == []


def test_second_store_on_a_link_does_not_silence_the_first(store_url, new_link, heard):
    link = new_link(store_url)
    first = RedisStore(link, namespace="test", listen=heard.append)
    RedisStore(link, namespace="other")

    go_down_and_up(first, link)

    assert ["store.down", "store.connected", "store.up"] == [event.name for event in heard]
