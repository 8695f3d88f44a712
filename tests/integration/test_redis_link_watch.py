import os
import signal
from contextlib import closing

import pytest

from askonce.adapters.redis import link as redis_link
from askonce.adapters.redis.store import RedisStore
from askonce.errors import StoreUnavailable
from sandbox.valkey import Valkey

pytestmark = pytest.mark.integration

KEYS = ["00" + "0" * 62]


@pytest.fixture
def watched(monkeypatch):
    """Count the calls whose answer was watched for."""
    counted, watch = [], redis_link.Link._watch

    def count(connection):
        counted.append(connection)
        return watch(connection)

    monkeypatch.setattr(redis_link.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(redis_link.Link, "_watch", staticmethod(count))
    return counted


def test_a_process_of_one_thread_watches_for_the_answer(watched, monkeypatch, store_url):
    monkeypatch.setattr(redis_link.threading, "active_count", lambda: 1)
    monkeypatch.setattr(redis_link, "_WATCH", 5.0)
    with closing(RedisStore.from_url(store_url, namespace="test")) as store:
        store.read(KEYS)  # the server may not know the script yet, which is a call more
        before = len(watched)
        store.read(KEYS)

    assert (before + 1) == len(watched)


def test_threads_leave_the_processor_to_each_other(watched, monkeypatch, store_url):
    monkeypatch.setattr(redis_link.threading, "active_count", lambda: 2)
    with closing(RedisStore.from_url(store_url, namespace="test")) as store:
        store.read(KEYS)

    assert [] == watched


def test_a_far_server_is_not_watched_again_at_once(watched, monkeypatch):
    monkeypatch.setattr(redis_link.threading, "active_count", lambda: 1)
    monkeypatch.setattr(redis_link, "_WATCH", 0.0)
    with Valkey(tcp=True) as server, closing(RedisStore.from_url(server.url, namespace="test")) as store:
        store.read(KEYS)
        os.kill(server.pid, signal.SIGSTOP)
        with pytest.raises(StoreUnavailable):
            store.read(KEYS)
        os.kill(server.pid, signal.SIGCONT)
        counted = len(watched)
        store.read(KEYS)

    assert counted == len(watched)


def test_a_server_that_stays_far_is_watched_ever_less_often(watched, monkeypatch, store_url):
    monkeypatch.setattr(redis_link.threading, "active_count", lambda: 1)
    calls = []
    monkeypatch.setattr(redis_link.Link, "_watch", staticmethod(lambda _: watched.append(len(calls))))
    with closing(RedisStore.from_url(store_url, namespace="test")) as store:
        store.read(KEYS)
        store._link._unwatched, store._link._rest = 0, 1
        watched.clear()
        for number in range(16):
            calls.append(number)
            store.read(KEYS)

    assert [1, 3, 6, 11] == watched
