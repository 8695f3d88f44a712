import threading
from dataclasses import replace
from uuid import uuid4

import pytest
from redis import Redis
from redis.connection import AbstractConnection

from askonce.adapters.redis import RedisStore
from askonce.controls import Mark
from askonce.enqueue import Producer
from askonce.handle import as_completed
from askonce.key import identify
from askonce.outcomes import Admitted, Attached, Hit
from askonce.record import BUCKETS
from askonce.spec import JobSpec
from tests.deadlines import stretched
from tests.jobs import ANSWER, TTL, OneQueue, new_lease

pytestmark = pytest.mark.integration

SPEC = JobSpec(name="add")


@pytest.fixture
def writes(monkeypatch):
    """Count the writes of this thread to sockets: those of other tests may go on for a while."""
    counted, send, caller = [], AbstractConnection.send_packed_command, threading.current_thread()

    def counting(self, command, *args, **options):
        if threading.current_thread() is caller:
            counted.append(1 if isinstance(command, str | bytes) else len(command))
        return send(self, command, *args, **options)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counting)
    return counted


@pytest.fixture
def store(tcp_server):
    with Redis.from_url(tcp_server.url) as client:
        store = RedisStore(client, namespace="trips")
        # The scripts and the connection are there before anything is counted.
        store.read(["00" * 32])
        store.reap([0])
        store.invalidate("00" * 32)
        yield store
        store.close()


@pytest.fixture
def idle(new_shop):
    """An app without a worker, whose connections are open."""
    shop = new_shop("idle")
    shop.add.enqueue({"n": 0})
    shop.add.enqueue_many([{"n": 0}])
    return shop


def test_mark_of_any_number_of_answers_takes_one_trip(store, writes):
    store.controls.mark(Mark("all"))
    writes.clear()

    store.controls.mark(Mark("tag", "customer-7"))

    assert 1 == len(writes)


def answer(store, job):
    """Do what a worker does for *job*."""
    lease = new_lease(job.key)
    store.start(job, lease)
    store.complete(lease, ANSWER, TTL)


def keys(count):
    return [f"{n % BUCKETS:02x}{n:062x}" for n in range(count)]


def test_new_job_costs_one_script_that_sends_its_message(commands, idle, number):
    seen = commands(lambda: idle.add.enqueue({"n": number}))

    assert seen == ["publish"]


def test_new_job_on_another_broker_costs_a_script_and_a_push(commands, idle, number):
    producer = replace(idle.once.producer, publish=None)
    producer.enqueue(idle.add.job_spec, {"n": -number})

    seen = commands(lambda: producer.enqueue(idle.add.job_spec, {"n": number}))

    assert seen == ["admit", "LPUSH"]


def test_duplicate_costs_one_script_and_nothing_else(commands, idle, number, writes):
    idle.add.enqueue({"n": number})
    writes.clear()
    asked = []

    seen = commands(lambda: asked.append(idle.add.enqueue({"n": number})))

    assert isinstance(asked[0], Attached)
    assert seen == ["publish"]
    assert sum(writes[:1]) == 1


def test_kept_answer_costs_its_caller_one_script(commands, idle, number):
    asked = idle.add.enqueue({"n": number})
    answer(idle.store, identify(idle.add.job_spec, {"n": number, "more": 1}, job_id=asked.job))
    again = []

    seen = commands(lambda: again.append(idle.add.enqueue({"n": number})))

    assert isinstance(again[0], Hit)
    assert seen == ["publish"]


def test_kept_answer_costs_its_waiter_one_script(commands, idle, number):
    asked = idle.add.enqueue({"n": number})
    answer(idle.store, identify(idle.add.job_spec, {"n": number, "more": 1}, job_id=asked.job))

    assert commands(lambda: asked.result(stretched(5))) == ["read"]


@pytest.mark.parametrize("what", ["new", "duplicates"])
def test_group_of_500_costs_one_write(idle, number, writes, what):
    payloads = [{"n": number, "more": more} for more in range(500)]
    if what == "duplicates":
        idle.add.enqueue_many(payloads)
    writes.clear()

    outcomes = idle.add.enqueue_many(payloads)

    assert {Admitted if what == "new" else Attached} == set(map(type, outcomes))
    assert writes == [1]


def test_group_costs_a_script_for_50_of_its_jobs(commands, idle, number):
    payloads = [{"n": number, "more": more} for more in range(120)]

    assert commands(lambda: idle.add.enqueue_many(payloads)) == ["publish_many"] * 3


def test_group_on_another_broker_costs_one_write_for_each_of_both(commands, idle, number, writes):
    producer, spec = replace(idle.once.producer, publish=None), idle.add.job_spec
    producer.enqueue_many(spec, [{"n": -number}])
    writes.clear()

    producer.enqueue_many(spec, [{"n": number + n} for n in range(5)])
    written = list(writes)
    seen = commands(lambda: producer.enqueue_many(spec, [{"n": number + n} for n in range(5, 10)]))

    assert written == [1, 1]
    assert seen == ["admit"] * 5 + ["LPUSH"] * 5


def test_many_records_are_read_in_one_write(commands, store, writes):
    writes.clear()
    found = []

    seen = commands(lambda: found.extend(store.read(keys(500))))

    assert len(found) == 500
    assert seen == ["read"] * 500
    assert writes[0] == 1


def test_many_leases_are_renewed_in_one_write(store, writes):
    store.renew([new_lease(keys(1)[0])])
    writes.clear()

    store.renew([new_lease(key) for key in keys(200)])

    assert writes == [1]


def test_all_buckets_are_reaped_in_one_write(store, writes):
    writes.clear()

    store.reap(range(BUCKETS))

    assert writes == [1]


def test_batch_that_waits_reads_all_its_answers_in_one_write(store, writes, tcp_server):
    class Nowhere(OneQueue):
        def send(self, message):
            answer(store, message.job)

    producer = Producer(store=store, sender=Nowhere())
    handles = [producer.enqueue(SPEC, {"n": n}, tenant=uuid4().hex).handle for n in range(100)]
    writes.clear()

    answers = list(as_completed(store, handles, 5.0))

    assert len(answers) == 100
    assert writes == [1]


def test_server_that_forgot_the_scripts_costs_one_more(store, tcp_server, writes):
    key = keys(1)
    store.read(key)
    with Redis.from_url(tcp_server.url) as client:
        client.script_flush()
    writes.clear()

    assert not store.read(key)[0].present
    forgotten = list(writes)
    writes.clear()
    store.read(key)

    assert (forgotten, writes) == ([1, 1], [1])


def test_server_that_forgot_the_scripts_costs_a_batch_two_more(store, tcp_server, writes):
    with Redis.from_url(tcp_server.url) as client:
        client.script_flush()
    writes.clear()

    assert len(store.read(keys(50))) == 50

    assert writes == [1, 1, 1]
