from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from threading import Barrier

import pytest
from redis import Redis

from askonce.adapters.memory.store import MemoryStore
from askonce.adapters.redis.store import RedisStore
from askonce.record import Meta
from askonce.store import Claim, Failing

BUCKET = 10
KEY = "0a" + "0" * 62
ANSWER = b'j"answer"'
META = Meta(attempts=1, cost_usd=0.25, usage={"input_tokens": 7})


@dataclass
class KeyUnderTest:
    """One key on one store, and the clock that judges it."""

    store: object
    clock: object
    key: str = KEY

    def at(self, key):
        return KeyUnderTest(self.store, self.clock, key)

    def admit(self, job="job-1", fingerprint="fp-1", **terms):
        terms = {"task": "orders", "payload": b'{"n":1}', "queue_deadline": 60.0, "max_attempts": 3, **terms}
        return self.store.admit(Claim(key=self.key, job=job, fingerprint=fingerprint, **terms))

    def start(self, owner="owner-1", job="job-1", fingerprint="fp-1", lease=30.0):
        return self.store.start(self.key, job, owner, fingerprint, lease)

    def renew(self, owner="owner-1", lease=30.0):
        return self.store.renew([(self.key, owner, lease)])[0]

    def checkpoint(self, owner="owner-1", reference="resp-1"):
        return self.store.checkpoint(self.key, owner, reference)

    def complete(self, owner="owner-1", data=ANSWER, soft=60.0, hard=600.0):
        return self.store.complete(self.key, owner, data, META.encode(), soft, hard)

    def fail(self, owner="owner-1", kind="transient", reason="http_503", **more):
        return self.store.fail(self.key, owner, Failing(kind=kind, reason=reason, **more))

    def release(self, owner="owner-1"):
        return self.store.release(self.key, owner)

    def invalidate(self):
        return self.store.invalidate(self.key)

    def reap(self, limit=100):
        return self.store.reap([BUCKET], limit)

    def read(self):
        return self.store.read([self.key])[0]

    def run(self, owner="owner-1", job="job-1", **terms):
        """Admit and start in one go."""
        self.admit(job, **terms)
        return self.start(owner, job)

    def done(self, owner="owner-1", job="job-1", **times):
        self.run(owner, job)
        self.complete(owner, **times)

    def quarantined(self):
        self.run(max_attempts=1)
        self.fail()


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
