"""When a worker sends its events to monitors."""

from functools import partial
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.bootsteps import CLOSE, RUN

from tests.deadlines import eventually
from worker.events import GroupedEventsStep


class Hub:
    """Celery's loop, whose turns and timers the test makes."""

    def __init__(self):
        self._soon, self.timers = [], []

    def turn(self):
        calls, self._soon = self._soon, []
        for call in calls:
            call()

    def let_time_pass(self):
        self.turn()
        timers, self.timers = self.timers, []
        for call in timers:
            call()

    def call_soon(self, call, *args):
        self._soon.append(partial(call, *args))

    def call_later(self, _seconds, call):
        self.timers.append(call)


class Consumer:
    """A consumer with Celery's dispatcher of events; *sent* are the groups that it published."""

    def __init__(self):
        self.hub, self.blueprint = Hub(), SimpleNamespace(state=RUN)
        self.event_dispatcher, self.sent, self._app = None, [], Celery("events", broker="memory://")

    def connect(self):
        """Do what Celery does on a new connection."""
        before = self.event_dispatcher
        if before:
            before.disable()
        self.event_dispatcher = self._app.events.Dispatcher(
            buffer_group=["task"], on_send_buffered=self.on_send_event_buffered
        )
        self.event_dispatcher.publisher = self
        if before:
            self.event_dispatcher.extend_buffer(before)
            self.event_dispatcher.flush()

    def publish(self, events, **_):
        self.sent.append([event["type"] for event in events])

    def emit(self, event):
        self.event_dispatcher.send(f"task-{event}")

    def on_send_event_buffered(self):
        raise AssertionError("the step takes its place")

    def _flush_events(self):
        self.event_dispatcher.flush()


@pytest.fixture
def consumer():
    return Consumer()


@pytest.fixture
def step(consumer):
    step = GroupedEventsStep(consumer)
    consumer.connect()
    step.start(consumer)
    consumer.hub.let_time_pass()
    return step


def end(consumer, step):
    """Do what Celery does when the worker is asked to end: its jobs go on."""
    consumer.blueprint.state = CLOSE
    step.stop(consumer)


@pytest.mark.usefixtures("step")
def test_events_of_one_moment_are_sent_together(consumer):
    for event in ("received", "started", "succeeded"):
        consumer.emit(event)
        consumer.hub.turn()

    assert ([], 1) == (consumer.sent, len(consumer.hub.timers))
    consumer.hub.let_time_pass()
    assert [["task-received", "task-started", "task-succeeded"]] == consumer.sent


@pytest.mark.usefixtures("step")
def test_event_of_a_later_moment_is_sent_too(consumer):
    for event in ("started", "succeeded"):
        consumer.emit(event)
        consumer.hub.let_time_pass()

    assert [["task-started"], ["task-succeeded"]] == consumer.sent


@pytest.mark.usefixtures("step")
def test_thread_that_brings_an_event_never_sends_it(consumer):
    for event in range(100):
        consumer.emit(event)

    assert [] == consumer.sent
    consumer.hub.let_time_pass()
    assert [[f"task-{event}" for event in range(100)]] == consumer.sent


def test_events_of_a_worker_that_ends_need_no_loop(consumer, step):
    consumer.emit("started")
    end(consumer, step)
    eventually(lambda: [["task-started"]] == consumer.sent)

    consumer.emit("succeeded")

    eventually(lambda: [["task-started"], ["task-succeeded"]] == consumer.sent)


def test_last_events_are_sent_before_the_connection_is_closed(consumer, step, monkeypatch):
    monkeypatch.setattr("worker.events.WAIT", 3600)
    end(consumer, step)
    consumer.emit("succeeded")

    step.shutdown(consumer)

    assert [["task-succeeded"]] == consumer.sent


@pytest.mark.parametrize("is_timer_kept", [True, False])
def test_events_are_sent_on_a_new_connection(consumer, step, is_timer_kept):
    consumer.emit("started")
    consumer.hub.turn()
    step.stop(consumer)
    consumer.emit("succeeded")
    timers, consumer.hub.timers = consumer.hub.timers, []

    consumer.connect()
    assert [] == consumer.sent
    step.start(consumer)
    consumer.hub.timers += timers * is_timer_kept
    consumer.emit("started")
    consumer.hub.let_time_pass()

    assert [["task-started", "task-succeeded", "task-started"]] == consumer.sent


def test_lost_connection_is_not_tried(consumer, step):
    step.stop(consumer)
    consumer.emit("succeeded")
    consumer.hub.let_time_pass()

    assert [] == consumer.sent


def test_worker_without_events_or_without_a_loop_needs_no_step(consumer):
    consumer.event_dispatcher = None
    GroupedEventsStep(consumer).start(consumer)
    consumer.hub = None

    assert not GroupedEventsStep(consumer).include_if(consumer)
