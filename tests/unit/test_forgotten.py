"""Which messages a worker takes for forgotten, and when it gives them back."""

from collections import deque
from types import SimpleNamespace

import pytest

from askonce.adapters.celery import forgotten
from askonce.adapters.celery.forgotten import LOOKS, Forgotten


class Message:
    def __init__(self, tag, task="call"):
        self.delivery_tag, self.delivery_info = tag, {"routing_key": "fast"}
        self.headers = {"task": task, "id": f"job-{tag}"}


class Request:
    def __init__(self, tag, task="call"):
        self.name, self._message, self.acknowledged = task, Message(tag, task), False


class Holding:
    """A consumer with one place, whose channel holds *messages*."""

    def __init__(self, heard):
        self.messages, self.requests = {}, SimpleNamespace(active=set(), reserved=set(), scheduled=set())
        self.returned, self.released, self.given_back, self.ready = set(), [], [], []
        qos = SimpleNamespace(held=lambda: list(self.messages), get=self.messages.__getitem__)
        once = SimpleNamespace(paused_queues=self, listen=heard.append)
        self.consumer = SimpleNamespace(
            app=SimpleNamespace(askonce=once, tasks={"call": SimpleNamespace(job_spec=1), "plain": object()}),
            pool=SimpleNamespace(num_processes=1, uses_semaphore=True),
            task_buckets={"call": None},
            task_consumer=SimpleNamespace(channel=SimpleNamespace(qos=qos)),
            controller=SimpleNamespace(
                semaphore=SimpleNamespace(release=lambda: self.released.append("a place"))
            ),
        )
        self._forgotten = Forgotten(self.consumer)

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


def test_job_that_waits_although_a_place_is_free_is_given_back_with_its_place(holding, heard):
    request = holding.hold(Request(1))
    holding.requests.reserved.add(request)

    holding.look(LOOKS - 1)
    assert [] == holding.given_back
    holding.look(1)

    assert ([1], [request], ["a place"]) == (holding.given_back, holding.ready, holding.released)
    # Should the pool run it after all, there is nothing to acknowledge.
    assert request.acknowledged
    [event] = heard
    told = ("message.forgotten", "call", "job-1", {"queue": "fast", "state": "waiting"})
    assert told == (event.name, event.task, event.job, event.data)


def test_message_for_which_nothing_waits_is_given_back(holding, heard):
    holding.hold(Request(1))

    holding.look()

    assert ([1], [], []) == (holding.given_back, holding.ready, holding.released)
    assert ["ended"] == [event.data["state"] for event in heard]


def test_job_that_waits_for_the_end_of_another_is_not_forgotten(holding):
    holding.requests.reserved.add(holding.hold(Request(1)))
    holding.requests.active.add(holding.hold(Request(2)))

    holding.look()

    assert [] == holding.given_back


def test_only_what_each_look_finds_is_given_back(holding):
    request = holding.hold(Request(1))
    holding.requests.reserved.add(request)
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
    holding.hold(Request(1, task))
    holding.requests.reserved.add(Request(2, task))

    holding.look()

    assert [] == holding.given_back


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
