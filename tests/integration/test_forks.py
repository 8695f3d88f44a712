import asyncio
import json
import os
import signal
import threading
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from askonce import waiting
from askonce.adapters.redis import RedisStore
from askonce.errors import StoreUnavailable
from askonce.events import Event, EventType
from askonce.execution import Delivery
from askonce.handle import Handle
from askonce.key import identify
from askonce.message import Message
from askonce.off_loop import off_loop
from askonce.store import Write
from askonce.store_down.spill import Unstored
from askonce.waiting import Waiting, waiting_on
from tests.deadlines import stretched
from worker.listeners import counts
from worker.process import PerProcess

pytestmark = pytest.mark.integration


def test_forked_child_shares_no_connection_and_no_answer(new_shop, number):
    shop = new_shop("forks")
    spec, payload = replace(shop.add.job_spec, on_store_down="local"), {"n": number, "more": 1}
    job = identify(spec, payload)
    parent = shop.once.process()
    parent.caller.call(spec, job, lambda: number + 1, timeout=stretched(5))

    seen = in_a_child(lambda: what_it_holds(shop.once.process(), job))

    assert {"connection", "answer"} == seen.keys()
    assert (what_it_holds(parent, job)["answer"], seen["answer"]) == (True, False)
    assert what_it_holds(parent, job)["connection"] != seen["connection"]
    assert what_it_holds(parent, job)["connection"] == what_it_holds(parent, job)["connection"]


def what_it_holds(process, job):
    """The server's number for the connection in use, and whether an answer is kept beside the store."""
    [connection] = process.store._link.ask(("CLIENT", "ID"))
    kept = process.runner.local._cache.get(job.key, job.fingerprint)
    return {"connection": connection, "answer": kept is not None}


def in_a_child(look):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # It may wait for a lock that nobody holds here: then it ends without a word. pytest-timeout's handler
        # would let it wait.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        try:
            os.write(writer, json.dumps(look()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return json.loads(pipe.read() or "{}")


@contextmanager
def held_by_another_thread(lock):
    """Hold *lock*; a Condition's lock would let its own thread in."""
    held, release = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            assert release.wait(stretched(60))

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(stretched(10))
    try:
        yield
    finally:
        release.set()
        thread.join()


def breaker_of(once):
    return once.process().store._link.breaker._lock


LOCKS = {
    "process": lambda once: once._lock,
    "breaker": breaker_of,
    "reaper": lambda once: once.process().reaper._changed,
    "leases": lambda once: once.process().runner.executor.leases._changed,
    "spill": lambda once: once.process().spill._changed,
    "local calls": lambda once: once.process().runner.local._lock,
    "local cache": lambda once: once.process().runner.local._cache._lock,
    "sender": lambda once: once.sender._pool._resource.mutex,
    "counts": lambda _once: counts._lock,
    "waits": lambda once: waiting_on(once.process().store)._changed,
    "waits of all stores": lambda _once: waiting._lock,
}


@pytest.fixture
def forking(new_shop, number):
    """A shop whose every part was in use, and whose store failed once."""
    shop = new_shop("forking")
    use_every_part(shop, number)
    shop.store._link.breaker.errors = 1
    yield shop
    shop.once.process().reaper.stop()


def use_every_part(shop, number):
    process, payload = shop.once.process(), {"n": number, "more": 1}
    job = identify(replace(shop.add.job_spec, on_store_down="local"), payload)
    process.caller.call(shop.add.job_spec, job, lambda: number + 1, timeout=stretched(5))
    process.runner.local.run(
        Delivery(spec=replace(shop.add.job_spec, on_store_down="local"), job=job.under("other")),
        lambda: number + 1,
        StoreUnavailable(verb="start", reason="x"),
    )
    process.spill.keep(Unstored(job=job, size=1, write=lambda: Write.OK))
    process.reaper.look_at(job.key, 60.0)
    shop.once.sender.send(Message(job))
    counts.count(Event(EventType.JOB_HIT))
    asyncio.run(Handle.from_key(process.store, job.key).aresult(stretched(5)))
    asyncio.run(off_loop(lambda: None))
    return {"done": True}


@pytest.mark.parametrize("lock", LOCKS)
def test_forked_child_waits_for_no_lock_of_its_parent(forking, number, lock):
    with held_by_another_thread(LOCKS[lock](forking.once)):
        seen = in_a_child(lambda: use_every_part(forking, number + 1))

    assert {"done": True} == seen


def test_child_goes_on_with_its_parents_store_whose_breaker_was_locked(tcp_server):
    with closing(RedisStore.from_url(tcp_server.url, namespace="forks")) as store:
        store.read(["0" * 64])
        store._link.breaker.errors = 1
        with held_by_another_thread(store._link.breaker._lock):
            seen = in_a_child(lambda: {"present": store.read(["0" * 64])[0].present})

    assert {"present": False} == seen


def test_child_waits_for_its_own_callers_only(new_shop, number):
    shop = new_shop("waiting")
    other, waits = shop.add.enqueue({"n": number, "more": 1}), Waiting(shop.store)
    future = waits.wait(other.handle, 600.0)
    answered = shop.add.enqueue({"n": number + 1, "more": 1})

    def end_in_child():
        waits.wait(answered.handle, 0).exception(stretched(10))
        return {"own": len(waits._new) + len(waits._waiters), "other": future.done()}

    with held_by_another_thread(waits._changed):
        seen = in_a_child(end_in_child)

    assert {"own": 0, "other": False} == seen
    assert future.cancel()


@pytest.mark.servers
@pytest.mark.parametrize(
    "lock", [lambda link: link._lock, lambda link: a_node(link).breaker._lock], ids=["slots", "node"]
)
def test_child_goes_on_with_its_parents_cluster_whose_lock_was_held(cluster, lock):
    with closing(RedisStore.from_url(cluster.url, namespace="forks")) as store:
        store.read(["0" * 64])
        for link in store._link._links.values():
            link.breaker.errors = 1
        with held_by_another_thread(lock(store._link)):
            seen = in_a_child(lambda: {"places": len(store._link.clients()), "read": read(store)})

    assert {"places": 3, "read": 256} == seen


def a_node(link):
    return next(iter(link._links.values()))


def read(store):
    return len(store.read([f"{n:02x}" + "0" * 62 for n in range(256)]))


def test_child_builds_its_own_object_while_its_parent_builds_one():
    built = PerProcess(object)
    with held_by_another_thread(built._lock):
        seen = in_a_child(lambda: {"built": built.get() is not None})

    assert {"built": True} == seen
