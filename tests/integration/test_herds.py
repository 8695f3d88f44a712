"""Many at once, where one call must do; the clock is the test's, the server is real."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.enqueue import Producer
from askonce.execute import Executor
from askonce.execution import Computed, Delivery
from askonce.lease import LeaseRenewer
from askonce.lost import Delivered
from askonce.message import Message
from askonce.reaper import Reaper
from askonce.record import BUCKETS, Status
from askonce.spec import JobSpec
from tests.deadlines import stretched
from tests.jobs import DELIVERED, OneQueue

pytestmark = pytest.mark.integration

ANSWER = {"rate": "5.32"}
QUESTION = {"currency": "BRL"}
SPEC = JobSpec(name="rates.fetch", soft_ttl=60, hard_ttl=600)


class Herd(OneQueue):
    """A producer whose messages lie in a list until somebody works, and an executor that counts its calls."""

    def __init__(self, store, clock):
        self.store, self.clock, self.messages, self.calls = store, clock, [], Counter()
        self.producer = Producer(store=store, sender=self)
        self.executor = Executor(store=store, leases=LeaseRenewer(store))

    def send(self, message):
        self.messages.append(message)

    def ask(self, question=QUESTION):
        return self.producer.enqueue(SPEC, question)

    def work(self, message):
        """Deliver a message once."""

        def body():
            self.calls[message.job.key] += 1
            return ANSWER

        return self.executor.execute(Delivery(spec=SPEC, job=message.job), body)

    def answer(self):
        self.ask()
        return self.work(self.messages.pop())


@pytest.fixture
def herd(store_url, server_clock):
    # redis-py's own limit is 100 connections.
    with Redis.from_url(store_url, max_connections=1000) as client:
        store = RedisStore(client, namespace="test", clock=server_clock.lua)
        yield Herd(store, server_clock)
        store.close()


@pytest.fixture
def at_once():
    """Run a function in so many threads, which begin together; what each returned."""

    def run(count, function):
        gate = Barrier(count)

        def begin(number):
            gate.wait(stretched(30))
            return function(number)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(begin, range(count)))

    return run


def test_two_hundred_readers_of_a_stale_answer_send_one_message(herd, at_once):
    herd.answer()
    herd.clock.advance(SPEC.soft_ttl)

    asked = at_once(200, lambda _: herd.ask())

    assert {"Admitted": 1, "Attached": 199} == Counter(type(each).__name__ for each in asked)
    assert [ANSWER] * 200 == [each.stale.value for each in asked]
    assert 1 == len(herd.messages)
    herd.work(herd.messages.pop())
    assert [2] == list(herd.calls.values())


def test_waiters_outlive_the_stale_answer_and_share_one_call(herd):
    herd.answer()
    herd.clock.advance(SPEC.soft_ttl)
    asked = [herd.ask() for _ in range(20)]

    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(each.result, 30) for each in asked]
        herd.clock.advance(SPEC.hard_ttl)
        herd.work(herd.messages.pop())
        sources = [answer.result(stretched(30)).source for answer in answers]

    assert ["call"] * 20 == sources
    assert ([2], []) == (list(herd.calls.values()), herd.messages)


@pytest.mark.parametrize("lost", ["past its hard limit", "gone with its record"])
def test_twenty_waiters_whose_answer_is_gone_share_one_call(herd, client, eventually, lost):
    asked = [herd.ask() for _ in range(20)]
    herd.work(herd.messages.pop())
    if lost == "past its hard limit":
        herd.clock.advance(SPEC.hard_ttl)
    else:
        client.delete(*client.keys("*:rec:*"))

    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(each.result, 30) for each in asked]
        eventually(lambda: herd.messages, 20)
        herd.work(herd.messages.pop())
        values = [answer.result(stretched(30)).value for answer in answers]

    assert [ANSWER] * 20 == values
    assert ([2], []) == (list(herd.calls.values()), herd.messages)


@pytest.mark.long
def test_deep_queue_without_workers_is_never_resent_and_drained(herd):
    jobs, hours = 2_000, 8
    asked = [herd.ask({"number": number}) for number in range(jobs)]
    resent = []
    reaper = Reaper(herd.store, resent.append)

    for _ in range(hours * 6):
        herd.clock.advance(600)
        reaper.sweep(range(BUCKETS))
    ends = Counter(type(herd.work(message)) for message in herd.messages)

    assert [] == resent
    assert {Computed: jobs} == ends
    assert {1} == set(herd.calls.values())
    records = herd.store.read([each.key for each in asked])
    assert {Status.DONE} == {record.status for record in records}


def test_two_schedulers_and_two_reapers_refresh_each_key_once(herd, at_once):
    numbers = range(50)

    def schedule(_):
        return [herd.ask({"number": number}) for number in numbers]

    asked = at_once(2, schedule)
    herd.messages.clear()  # all are lost
    herd.clock.advance(SPEC.queue_deadline)
    resent = []
    at_once(
        2,
        lambda _: Reaper(herd.store, resent.append, delivered=lambda: DELIVERED).sweep(range(BUCKETS)),
    )
    for message in resent:
        herd.work(message)

    assert 50 == len({each.job for round_ in asked for each in round_}) == len(resent)
    assert [1] * 50 == list(herd.calls.values())
    assert {"Hit"} == {type(each).__name__ for each in schedule(0)}


@pytest.mark.long
def test_long_queue_is_one_message_for_each_job_for_eight_hours(herd):
    jobs = 20
    options = [{"countdown": 90.0} if n == 0 else {"priority": 3 * (n % 2)} for n in range(jobs)]
    asked = [herd.producer.enqueue(SPEC, {"number": n}, **options[n]) for n in range(jobs)]
    # The only worker reads another queue.
    elsewhere = [Delivered("other", seconds=0.0)]
    reaper = Reaper(herd.store, lambda lost: herd.send(Message(lost.job)), delivered=lambda: elsewhere)

    kinds = Counter()
    for minute in range(8 * 60):
        herd.clock.advance(60)
        reaper.sweep(range(BUCKETS))
        kinds[type(herd.ask({"number": minute % jobs})).__name__] += 1
    sent = Counter(message.job.id for message in herd.messages)
    ends = Counter(type(herd.work(message)) for message in herd.messages)

    assert {"Attached": 8 * 60} == kinds
    assert dict.fromkeys((each.job for each in asked), 1) == sent
    assert {Computed: jobs} == ends
