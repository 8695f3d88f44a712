"""Which messages a worker takes for forgotten, and when it gives them back."""

from collections import deque
from types import SimpleNamespace

import pytest
from kombu.asynchronous.semaphore import LaxBoundedSemaphore
from kombu.asynchronous.timer import Timer

from askonce.adapters.celery import forgotten
from askonce.adapters.celery.forgotten import LOOKS, Forgotten, ForgottenStep


class Message:
    def __init__(self, tag, task="call"):
        self.delivery_tag, self.delivery_info = tag, {"routing_key": "fast"}
        self.headers = {"task": task, "id": f"job-{tag}"}


class Request:
    def __init__(self, tag, task="call", name=""):
        self.type, self.name, self.id = task, name or task, f"job-{tag}"
        self._message, self.acknowledged = Message(tag, task), False
        self.discarded = 0
        # Celery keeps a weak reference.
        self._apply_result = lambda: self

    def discard(self):
        self.discarded += 1


class Holding:
    """A consumer of a pool with two processes, whose channel holds *messages*."""

    def __init__(self, heard):
        self.messages, self.requests = {}, SimpleNamespace(active=set(), reserved=set(), scheduled=set())
        self.returned, self.given_back, self.ready, self.in_pool = set(), [], [], []
        self.slots = LaxBoundedSemaphore(2)
        qos = SimpleNamespace(held=lambda: list(self.messages), get=self.messages.__getitem__)
        once = SimpleNamespace(paused_queues=self, listen=heard.append)
        self.consumer = SimpleNamespace(
            app=SimpleNamespace(askonce=once, tasks={"call": SimpleNamespace(job_spec=1), "plain": object()}),
            pool=SimpleNamespace(num_processes=2, uses_semaphore=True),
            task_buckets={"call": None},
            task_consumer=SimpleNamespace(channel=SimpleNamespace(qos=qos)),
            controller=SimpleNamespace(semaphore=self.slots),
        )
        self._forgotten = Forgotten(self.consumer)

    def reserve(self, request):
        """Hold the message of *request*, and let the pool have it as soon as a process is free."""
        self.requests.reserved.add(self.hold(request))
        self.slots.acquire(self.in_pool.append, request)
        return request

    def hold(self, request):
        self.messages[request._message.delivery_tag] = request._message
        return request

    def look(self, times=LOOKS):
        for _ in range(times):
            self._forgotten.look()


@pytest.fixture
def holding(monkeypatch, heard):
    it = Holding(heard)
    sets = {f"{name}_requests": found for name, found in vars(it.requests).items()}
    monkeypatch.setattr(forgotten, "state", SimpleNamespace(**sets))
    monkeypatch.setattr(forgotten, "task_ready", it.ready.append)
    monkeypatch.setattr(forgotten, "put_first", lambda message: it.given_back.append(message.delivery_tag))
    return it


def test_job_that_waits_in_a_pool_with_a_free_process_is_given_back_with_its_slot(holding, heard):
    request = holding.reserve(Request(1))

    holding.look(LOOKS - 1)
    assert [] == holding.given_back
    holding.look(1)

    assert ([1], [request], 2) == (holding.given_back, holding.ready, holding.slots.value)
    # Should the pool run it after all, there is nothing to acknowledge, and no slot to release.
    assert (True, 1) == (request.acknowledged, request.discarded)
    [event] = heard
    told = ("message.forgotten", "call", "job-1", {"queue": "fast", "state": "waiting"})
    assert told == (event.name, event.task, event.job, event.data)


def test_jobs_behind_one_that_is_lost_keep_their_order_and_the_first_gets_its_slot(holding):
    lost, long, *others = [holding.reserve(Request(tag)) for tag in range(1, 9)]
    holding.requests.active.add(long)

    holding.look()

    assert [1] == holding.given_back
    assert [lost, long, others[0]] == holding.in_pool


def test_message_that_nothing_waits_for_is_given_back(holding, heard):
    holding.hold(Request(1))

    holding.look()

    assert ([1], [], 2) == (holding.given_back, holding.ready, holding.slots.value)
    assert ["unknown"] == [event.data["state"] for event in heard]


def test_job_that_is_lost_again_is_waited_for_longer(holding):
    holding.hold(Request(1))
    holding.look(2 * LOOKS + LOOKS - 1)
    assert [1] == holding.given_back

    holding.look(1)
    assert [1, 1] == holding.given_back


def test_pool_without_slots_has_all_that_waits(holding):
    holding.consumer.pool.uses_semaphore = False
    request = holding.reserve(Request(1))
    request._apply_result = None

    holding.look()

    # The slots are not its own.
    assert ([1], 1) == (holding.given_back, holding.slots.value)


def test_job_that_waits_for_the_end_of_another_is_not_forgotten(holding):
    holding.consumer.pool.uses_semaphore = False
    holding.reserve(Request(1))
    holding.requests.active.update([Request(2), Request(3)])

    holding.look()

    assert [] == holding.given_back


def test_only_what_each_look_finds_is_given_back(holding):
    request = holding.reserve(Request(1))
    holding.look(LOOKS - 1)
    holding.requests.active.add(request)
    holding.look(1)
    holding.requests.active.clear()

    holding.look(LOOKS - 1)

    assert [] == holding.given_back


def is_under_way(holding, request):
    holding.requests.active.add(request)


def waits_for_its_time(holding, request):
    holding.requests.scheduled.add(request)


def waits_for_its_rate(holding, request):
    holding.consumer.task_buckets["call"] = SimpleNamespace(contents=deque([(request, 1)]))


def goes_back_to_a_paused_queue(holding, request):
    holding.returned.add(request._message.delivery_tag)


def is_answered(holding, request):
    request.acknowledged = True
    holding.requests.reserved.add(request)


@pytest.mark.parametrize(
    "held",
    [is_under_way, waits_for_its_time, waits_for_its_rate, goes_back_to_a_paused_queue, is_answered],
)
def test_message_that_waits_for_something_is_kept(holding, held):
    held(holding, holding.hold(Request(1)))

    holding.look()

    assert [] == holding.given_back


@pytest.mark.parametrize("task", ["plain", "unknown", None, ["call"]])
def test_message_whose_task_may_not_run_twice_is_kept(holding, task):
    holding.hold(Request(1, task, name="call"))
    holding.requests.reserved.add(Request(2, task, name="call"))

    holding.look()

    assert [] == holding.given_back


@pytest.mark.parametrize("headers", [None, {}])
def test_message_of_the_first_protocol_is_given_back_by_its_request(holding, headers):
    holding.reserve(Request(1))._message.headers = headers

    holding.look()

    assert [1] == holding.given_back


def test_message_without_headers_is_kept(holding):
    holding.hold(Request(1))._message.headers = None

    holding.look()

    assert [] == holding.given_back


def test_broker_that_alone_knows_its_deliveries_shows_what_waits(holding):
    holding.consumer.task_consumer.channel = SimpleNamespace()
    holding.requests.reserved.add(Request(1))

    holding.look()

    assert [1] == holding.given_back


def test_look_during_a_change_in_another_thread_is_made_later(holding, monkeypatch):
    class Changing:
        def __iter__(self):
            raise RuntimeError("Set changed size during iteration")

    holding.hold(Request(1))
    monkeypatch.setattr(forgotten.state, "active_requests", Changing())
    holding.look()
    monkeypatch.setattr(forgotten.state, "active_requests", set())
    holding.look(LOOKS - 1)

    assert [] == holding.given_back


def test_consumer_that_connects_again_looks_once(heard):
    timer = Timer()
    consumer = SimpleNamespace(hub=object(), timer=timer)
    step = ForgottenStep(consumer)
    step.stop(consumer)
    for _ in range(2):
        step.start(consumer)
        step.stop(consumer)
    step.start(consumer)

    assert 1 == sum(not each.entry.canceled for each in timer.queue)


def test_consumer_without_a_loop_does_not_look():
    assert not ForgottenStep(SimpleNamespace(hub=None)).enabled
