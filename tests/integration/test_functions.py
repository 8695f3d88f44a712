"""Cached functions on a real server: many processes, forks, one round trip, and answers kept in a process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.errors import StoreUnavailable
from askonce.functions import FunctionCache
from sandbox.valkey import Valkey
from tests.deadlines import stretched

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.fixture
def client(tcp_server):
    with Redis.from_url(tcp_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def new_cache(tcp_server, client):
    """Make a FunctionCache with connections of its own, as another process would have."""
    stores = []

    def new(**options):
        stores.append(RedisStore.from_url(tcp_server.url, namespace="functions"))
        return FunctionCache(stores[-1], **options)

    yield new
    for store in stores:
        store.close()


def herd(server, client, processes, callers, kind, eventually):
    """Let many processes ask at once; return their answers, and how often the function was called."""
    command = [sys.executable, "-m", "tests.function_herd", server.url, str(processes), str(callers), kind]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        task = "fn.forecast" if kind == "threads" else "fn.trends"
        with closing(RedisStore.from_url(server.url, namespace="herd")) as store:
            # Each other process has asked, and waits.
            eventually(lambda: attached(store, task) >= processes - 1, 60)
        client.rpush("ledger:go", *["go"] * 1000)
        out, _ = running.communicate(timeout=stretched(60))
    return json.loads(out), int(client.get("ledger:calls"))


def attached(store, task):
    try:
        totals = store.tally.totals()
    except StoreUnavailable:  # fifty processes ask it at this moment
        return 0
    return sum(n for counter, n in totals.items() if (counter.task, counter.what) == (task, "attached"))


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_callers_of_a_few_processes_share_one_call(tcp_server, client, eventually, kind):
    answers, calls = herd(tcp_server, client, 4, 5, kind, eventually)

    assert 1 == calls
    assert [[{"city": "Lisbon", "number": 1}] * 5] * 4 == answers


@pytest.mark.long
@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_twenty_callers_of_each_of_fifty_processes_share_one_call(tcp_server, client, eventually, kind):
    answers, calls = herd(tcp_server, client, 50, 20, kind, eventually)

    assert 1 == calls
    assert [[{"city": "Lisbon", "number": 1}] * 20] * 50 == answers


def test_hit_is_one_round_trip(new_cache, commands):
    forecast = new_cache().cached_json("forecast")(lambda city: {"city": city})
    forecast("Lisbon")

    assert ["hit"] == commands(lambda: forecast("Lisbon"))


def test_hit_on_a_loop_is_one_round_trip(new_cache, commands):
    async def ask(city):
        return {"city": city}

    trends = new_cache().cached_json("trends")(ask)

    async def main():
        await trends("Lisbon")
        return await asyncio.to_thread(commands, lambda: asyncio.run(many()))

    async def many():
        # Together: they ask before the first look is sent.
        return await asyncio.gather(*(trends("Lisbon") for _ in range(3)))

    assert {"hit"} == set(asyncio.run(main()))


def test_call_is_four_round_trips(new_cache, commands):
    forecast = new_cache().cached_json("forecast")(lambda city: {"city": city})
    forecast("Porto")

    seen = commands(lambda: forecast("Lisbon"))

    assert ["hit", "admit", "start", "complete"] == [each for each in seen if each != "note_queues"]


def test_value_is_set_in_one_round_trip(new_cache, commands):
    values = new_cache().get_cache("sessions")
    values.set("ana", 1)

    assert ["put"] == commands(lambda: values.set("ana", 2))


def test_process_that_is_killed_holds_up_nobody_for_longer_than_its_lease(new_cache, client, eventually):
    cache = new_cache(lease=1.0)
    forecast = cache.cached_json("forecast")(lambda city: client.incr("ledger:calls"))
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        stuck = FunctionCache(cache.process().store, lease=1.0)
        try:
            stuck.cached_json("forecast")(lambda city: client.set("ledger:stuck", 1) and signal.pause())(
                "Lisbon"
            )
        finally:
            os._exit(0)
    eventually(lambda: client.get("ledger:stuck"))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    assert 1 == forecast("Lisbon")


def test_forked_child_has_connections_and_answers_of_its_own(new_cache, client):
    cache = new_cache()
    forecast = cache.cached_json("forecast", local_ttl=60)(lambda city: {"city": city})
    forecast("Lisbon")
    parent = cache.process()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        try:
            seen = {"answer": forecast("Lisbon"), "source": forecast.last().source}
            seen |= {"is_own": cache.process() is not parent}
            os.write(writer, json.dumps(seen).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        seen = json.loads(pipe.read() or "{}")

    assert {"answer": {"city": "Lisbon"}, "source": "cache", "is_own": True} == seen


def test_child_waits_for_no_lock_of_its_parent(new_cache):
    cache = new_cache()
    forecast = cache.cached_json("forecast")(lambda city: {"city": city})
    forecast("Lisbon")
    process = cache.process()
    locks = [
        cache._lock,
        process.cache._lock,
        process.answering.flights._lock,
        process.loops._lock,
        process.hearing._lock,
        process.recent_hits._lock,
    ]
    for lock in locks:
        lock.acquire()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        os._exit(0 if forecast("Lisbon") and forecast("Porto") else 1)
    for lock in locks:
        lock.release()

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_recent_answer_is_no_round_trip(new_cache, commands, eventually):
    cache = new_cache()
    forecast = cache.cached_json("forecast", local_ttl=60)(lambda city: {"city": city})
    other = cache.cached_json("metrics", local_ttl=60)(lambda: 1)
    other()
    # From then on it listens, and forgets nothing more.
    eventually(lambda: cache.process().cache.epoch > 0)
    forecast("Lisbon")

    seen = commands(lambda: forecast("Lisbon"))

    assert not {"hit", "admit", "read"} & set(seen)


def test_recent_answer_is_forgotten_when_another_process_invalidates_it(new_cache, client, eventually):
    here, there = new_cache(), new_cache()
    ask = [
        cache.cached_json("forecast", local_ttl=3600)(lambda city: client.incr("ledger:calls"))
        for cache in (here, there)
    ]
    ask[0]("Lisbon")
    eventually(lambda: here.process().cache.epoch > 0)
    ask[0]("Lisbon")

    ask[1].invalidate("Lisbon")

    eventually(lambda: ask[0]("Lisbon") == 2)


def test_recent_answers_are_forgotten_when_many_are_invalidated(new_cache, client, eventually):
    cache = new_cache()
    forecast = cache.cached_json("forecast", local_ttl=3600)(lambda city: {"city": city})
    forecast("Lisbon")
    eventually(lambda: cache.process().cache.epoch > 0)
    forecast("Lisbon")
    assert cache.process().cache._entries

    client.publish("{askonce:functions:b00}:invalidated", "tag\ncities")

    eventually(lambda: not cache.process().cache._entries)


def test_function_runs_while_its_server_is_away():
    heard = []
    with Valkey(tcp=True) as server, closing(RedisStore.from_url(server.url, namespace="functions")) as store:
        cache = FunctionCache(store, listen=heard.append, patience=0)
        forecast = cache.cached_json("forecast")(lambda city: {"city": city})
        forecast("Lisbon")
        server.close()

        assert [{"city": "Lisbon"}, {"city": "Porto"}] == [forecast("Lisbon"), forecast("Porto")]
        assert forecast.last().degraded
        assert {"job.degraded", "job.unstored"} <= {event.name for event in heard}
        # No server will ever take it.
        cache.process().spill._waiting.clear()
