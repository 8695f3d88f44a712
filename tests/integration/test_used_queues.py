"""A queue is noted with what goes to the store anyway, and no caller depends on it."""

from contextlib import closing
from secrets import token_hex

import pytest
from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.adapters.redis import used_queues as noting
from askonce.errors import StoreUnavailable
from askonce.job import Routing
from askonce.store import Admission, Push
from askonce.used_queues import QUEUES_KEPT, USE_KEPT
from tests.jobs import new_claim
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.integration

QUEUES = "{askonce:test:b00}:queues"


def claim(queue="bulk"):
    made = new_claim(token_hex(32))
    return made._replace(job=made.job._replace(routing=Routing(queue)))


def admit(store):
    return store.admit(claim()).outcome


def admit_many(store):
    return store.admit_many([claim() for _ in range(60)])[-1].outcome


def push(store):
    return store.pusher.admit_and_push(Push(claim(), "list", b"\x015", "{}"), token_hex(16)).outcome


def push_many(store):
    pushes = [Push(claim(), "list", b"\x015", "{}") for _ in range(60)]
    return list(store.pusher.admit_and_push_many(pushes))[-1].outcome


WAYS = pytest.mark.parametrize("send", [admit, admit_many, push, push_many])


@pytest.fixture
def server(tcp_server):
    with Redis.from_url(tcp_server.url) as client:
        client.flushall()
        client.script_flush()
        yield client


@pytest.fixture
def store(tcp_server, server):
    with closing(RedisStore.from_url(tcp_server.url, namespace="test")) as made:
        yield made


@WAYS
def test_first_job_of_a_process_notes_its_queue_and_no_later_one_does(store, commands, send):
    assert Admission.ADMITTED is send(store)
    assert ["bulk"] == list(store.used_queues())

    assert "EVAL" not in commands(lambda: send(store))


@WAYS
def test_queue_is_noted_in_the_write_of_its_job(tcp_server, store, server, commands, send, monkeypatch):
    send(store)
    server.delete(QUEUES)
    writes = []
    ask, ask_each = store._link.ask, store._link.ask_each
    monkeypatch.setattr(store._link, "ask", lambda *sent, **how: writes.append(sent) or ask(*sent, **how))
    monkeypatch.setattr(store._link, "ask_each", lambda *sent: writes.append(sent) or ask_each(*sent))
    monkeypatch.setattr(store._used_queues, "_due_at", {})

    outcome = send(store)

    assert (Admission.ADMITTED, 1) == (outcome, len(writes))
    assert ["bulk"] == list(store.used_queues())


def test_queue_is_noted_again_after_an_hour(store, server, monkeypatch):
    admit(store)
    server.delete(QUEUES)
    now = noting.monotonic()
    monkeypatch.setattr(noting, "monotonic", lambda: now + noting.NOTED_EVERY - 1)
    admit(store)
    before = store.used_queues()
    monkeypatch.setattr(noting, "monotonic", lambda: now + noting.NOTED_EVERY + 1)
    admit(store)

    assert ([], ["bulk"]) == (list(before), list(store.used_queues()))


@WAYS
def test_queue_that_could_not_be_noted_is_noted_with_the_next_job(tcp_server, server, send):
    with Proxy(tcp_server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        with closing(RedisStore.from_url(url, namespace="test")) as store:
            with proxy.refusing(), pytest.raises(StoreUnavailable):
                send(store)
            send(store)

            assert ["bulk"] == list(store.used_queues())


@WAYS
def test_server_that_refuses_the_note_admits_the_job(store, server, send):
    server.set(QUEUES, "no list")

    assert Admission.ADMITTED is send(store)
    with pytest.raises(StoreUnavailable):
        store.used_queues()


def test_registry_does_not_grow_for_ever(store, server):
    now = server.time()[0] * 1000
    server.zadd(QUEUES, {"over": now - USE_KEPT * 1000 - 1000})
    admit(store)
    first = server.zrange(QUEUES, 0, -1)
    server.zadd(QUEUES, {f"q{n}": now - n for n in range(QUEUES_KEPT + 100)})
    store.admit(claim("night"))

    assert ([b"bulk"], QUEUES_KEPT) == (first, server.zcard(QUEUES))
    assert 0 < server.pttl(QUEUES) <= USE_KEPT * 1000


def test_names_that_somebody_wrote_there_are_read_as_names(store, server):
    admit(store)
    server.zadd(QUEUES, {b"\x1b[2J": 5e12, b"x" * 201: 5e12, b"\xff": 5e12, b"": 5e12})

    assert ["\ufffd", "bulk"] == sorted(store.used_queues(), reverse=True)
