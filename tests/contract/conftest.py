from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest
from redis import Redis

from askonce.adapters.memory import MemoryStore
from askonce.adapters.redis import RedisStore
from tests.contract.key_under_test import KeyUnderTest


@pytest.fixture(
    params=[
        "memory",
        pytest.param("valkey", marks=pytest.mark.integration),
        pytest.param("redis_server", marks=[pytest.mark.integration, pytest.mark.redis]),
        pytest.param("cluster", marks=[pytest.mark.integration, pytest.mark.servers]),
    ]
)
def scene(request):
    """The same scene on each store."""
    if request.param == "memory":
        clock = request.getfixturevalue("clock")
        yield KeyUnderTest(MemoryStore(clock), clock)
        return
    if request.param == "cluster":
        cluster = request.getfixturevalue("cluster")
        cluster.flush()
        with closing(request.getfixturevalue("new_cluster_store")(cluster)) as store:
            yield KeyUnderTest(store, store.clock)
        return
    server = request.getfixturevalue(request.param)
    with Redis.from_url(server.url) as client:
        client.flushall()
        clock = request.getfixturevalue("new_server_clock")(client)
        store = RedisStore(client, namespace="test", clock=clock.lua)
        yield KeyUnderTest(store, clock)
        store.close()


@pytest.fixture
def at_once():
    """Run one function in many threads at the same moment; the functions get their number."""

    def run(function, count=50):
        barrier = Barrier(count)

        def one(number):
            barrier.wait(10)
            return function(number)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    return run
