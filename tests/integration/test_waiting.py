import asyncio
import threading
from contextlib import closing

import pytest
from redis import Redis

from askonce import JobSpec, Producer, ResultTimeout
from askonce.adapters.redis import RedisStore
from askonce.execute import Executor
from askonce.execution import Delivery
from askonce.lease import LeaseRenewer
from askonce.off_loop import _AT_ONCE, off_loop
from askonce.store_down.spill import Spill
from sandbox.valkey import Valkey
from tests.deadlines import eventually, stretched
from tests.jobs import OneQueue

pytestmark = pytest.mark.integration

SPEC = JobSpec(name="rates.fetch")


class Broker(OneQueue):
    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message)


class Scene:
    """A producer and a worker on one server."""

    def __init__(self, store, server):
        self.store, self.server, self.broker = store, server, Broker()
        self.producer = Producer(store=store, sender=self.broker)
        self.executor = Executor(store=store, leases=LeaseRenewer(store), spill=Spill())

    def enqueue(self, number):
        return self.producer.enqueue_async(SPEC, {"number": number})

    def work(self):
        while self.broker.sent:
            self.executor.execute(Delivery(spec=SPEC, job=self.broker.sent.pop().job), lambda: 1)

    def listeners(self):
        return len(self.server.client_list(_type="pubsub"))

    def connections(self):
        return len(self.server.client_list())


@pytest.fixture
def scene():
    """On a server of its own, so that its connections can be counted."""
    with (
        Valkey(tcp=True) as server,
        Redis.from_url(server.url, decode_responses=True) as client,
        closing(RedisStore.from_url(server.url, namespace="waiting")) as store,
    ):
        yield Scene(store, client)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, stretched(60)))


async def waits_for(outcomes, scene):
    """Begin to wait for all; return the tasks once the thread hears of each job."""
    wanted = hears_of(scene.server) + len(outcomes)
    tasks = [asyncio.ensure_future(outcome.aresult(600)) for outcome in outcomes]
    await asyncio.to_thread(eventually, lambda: hears_of(scene.server) == wanted)
    return tasks


def hears_of(server):
    return sum(int(each["sub"]) for each in server.client_list(_type="pubsub"))


@pytest.mark.long
def test_thousand_waiters_take_no_more_threads_and_connections_than_ten(scene):
    gate = threading.Barrier(_AT_ONCE)

    async def wait():
        # So that the pool has all of its threads from now on.
        await asyncio.gather(*(off_loop(lambda: gate.wait(stretched(20))) for _ in range(_AT_ONCE)))
        tasks = await waits_for([await scene.enqueue(number) for number in range(10)], scene)
        before = set(threading.enumerate())
        tasks += await waits_for(await asyncio.gather(*map(scene.enqueue, range(10, 1010))), scene)
        more = set(threading.enumerate()) - before
        listeners, connections = scene.listeners(), scene.connections()
        await asyncio.to_thread(scene.work)
        return more, listeners, connections, await asyncio.gather(*tasks)

    more, listeners, connections, answers = run(wait())

    assert (set(), 1) == (more, listeners)
    # Those of the link, the listener's and this test's own.
    assert connections <= _AT_ONCE + 2
    assert [1] * 1010 == [answer.value for answer in answers]


def test_waiters_whose_connection_is_cut_get_their_answers(scene):
    async def wait():
        tasks = await waits_for([await scene.enqueue(1), await scene.enqueue(2)], scene)
        scene.server.client_kill_filter(_type="pubsub")
        await asyncio.to_thread(scene.work)
        return await asyncio.gather(*tasks)

    assert [1, 1] == [answer.value for answer in run(wait())]


def test_wait_that_is_late_takes_no_listener(scene):
    async def wait():
        outcome = await scene.enqueue(3)
        with pytest.raises(ResultTimeout):
            await outcome.aresult(0)

    run(wait())

    assert 0 == scene.listeners()


def test_clicks_at_once_are_one_call_of_the_task(plain, number):
    async def click():
        outcome = await plain.add.enqueue_async({"n": number})
        return await outcome.aresult(600)

    async def clicks():
        return await asyncio.gather(*(click() for _ in range(20)))

    assert [number + 1] * 20 == [answer.value for answer in run(clicks())]
    assert 1 == len(plain.calls.of(number))
