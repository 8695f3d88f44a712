"""When a worker sends its events to monitors."""

from functools import partial

import pytest

from worker.events import GroupedEventsStep


class Consumer:
    """A consumer of Celery's with its loop, whose turns and timers the test makes."""

    def __init__(self):
        self.hub = self.event_dispatcher = self
        self.buffered, self.sent, self.buffer_limit = [], [], 24
        self._soon, self.timers = [], []

    def emit(self, event):
        """Do what Celery's dispatcher does in the thread that has *event*."""
        self.buffered.append(event)
        if len(self.buffered) >= self.buffer_limit:
            self._flush_events()
        else:
            self.on_send_event_buffered()

    def turn(self):
        calls, self._soon = self._soon, []
        for call in calls:
            call()

    def let_time_pass(self):
        timers, self.timers = self.timers, []
        for call in timers:
            call()

    def call_soon(self, call, *args):
        self._soon.append(partial(call, *args))

    def call_later(self, _seconds, call):
        self.timers.append(call)

    def on_send_event_buffered(self):
        self.call_soon(self._flush_events)

    def _flush_events(self):
        if self.buffered:
            self.sent.append(self.buffered)
            self.buffered = []

    def lose_timers(self):
        self.timers = []


@pytest.fixture
def consumer():
    return Consumer()


@pytest.fixture
def step(consumer):
    step = GroupedEventsStep(consumer)
    step.start(consumer)
    return step


@pytest.mark.usefixtures("step")
def test_events_of_one_moment_are_sent_together(consumer):
    for event in ("received", "started", "succeeded"):
        consumer.emit(event)
        consumer.turn()

    assert ([], 1) == (consumer.sent, len(consumer.timers))
    consumer.let_time_pass()
    assert [["received", "started", "succeeded"]] == consumer.sent


@pytest.mark.usefixtures("step")
def test_event_of_a_later_moment_is_sent_too(consumer):
    for event in ("started", "succeeded"):
        consumer.emit(event)
        consumer.turn()
        consumer.let_time_pass()

    assert [["started"], ["succeeded"]] == consumer.sent


@pytest.mark.usefixtures("step")
def test_thread_that_brings_an_event_never_sends_it(consumer):
    for event in range(100):
        consumer.emit(event)

    assert [] == consumer.sent
    consumer.turn()
    consumer.let_time_pass()
    assert [list(range(100))] == consumer.sent


def test_group_that_grows_while_the_loop_stands_is_sent(consumer, step):
    step.stop(consumer)

    for event in range(24):
        consumer.emit(event)

    assert [list(range(24))] == consumer.sent


def test_events_that_wait_are_sent_when_the_worker_stops(consumer, step):
    consumer.emit("started")

    step.stop(consumer)

    assert [["started"]] == consumer.sent


def test_event_of_a_worker_that_stops_waits_for_no_other(consumer, step):
    step.stop(consumer)

    consumer.emit("succeeded")
    consumer.turn()

    assert [["succeeded"]] == consumer.sent


def test_events_are_sent_on_a_new_connection_though_the_old_ones_timer_is_lost(consumer, step):
    consumer.emit("started")
    consumer.turn()
    step.stop(consumer)
    consumer.lose_timers()

    step.start(consumer)
    consumer.emit("succeeded")
    consumer.turn()
    consumer.let_time_pass()

    assert [["started"], ["succeeded"]] == consumer.sent
