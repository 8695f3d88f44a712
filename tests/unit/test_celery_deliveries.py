from types import SimpleNamespace

import pytest
from celery import Celery
from kombu import Queue

from askonce.adapters.celery.deliveries import _KEPT, Deliveries
from askonce.lost import Delivered


class Worker:
    """A consumer of one queue, on kombu's broker in memory, that looks like Redis."""

    def __init__(self, *queues, conf=None):
        self.app = Celery("deliveries", broker="memory://", set_as_current=False)
        self.app.conf.update(task_default_queue="slow", task_queues=queues or None, **(conf or {}))
        self.deliveries = Deliveries(self.app)
        self.deliveries.__dict__["_keeps_order"] = True
        self.deliveries.follow(SimpleNamespace(task_consumer=None))

    def receive(self, routing_key, sent_at, priority=0):
        headers = {"headers": {"askonce": {"sent_at": sent_at}}}
        where = {"routing_key": routing_key}
        message = SimpleNamespace(headers=headers, delivery_info=where, properties={"priority": priority})
        self.deliveries.note(message)

    def seen(self):
        return sorted(self.deliveries.seen())


def test_newest_message_of_each_queue_and_priority_is_reported():
    worker = Worker()
    for sent_at in (5, 9, 7):
        worker.receive("slow", sent_at)
    worker.receive("slow", 3, priority=6)

    assert [Delivered("slow", 0, 9), Delivered("slow", 6, 3)] == worker.seen()


def test_queue_with_a_key_of_its_own_is_reported_by_its_name():
    worker = Worker(Queue("slow", routing_key="s"), Queue("other", routing_key="o"))
    worker.receive("s", 9)

    assert [Delivered("s", 0, 9), Delivered("slow", 0, 9)] == worker.seen()


@pytest.mark.parametrize(
    "other", [Queue("other"), Queue("other", routing_key="slow")], ids=["default", "same"]
)
def test_key_that_several_queues_share_proves_nothing(other):
    worker = Worker(Queue("slow", routing_key="slow"), other)
    worker.receive("slow", 9)

    assert [] == worker.seen()


def test_priority_that_is_no_number_is_none():
    worker = Worker()
    worker.receive("slow", 9, priority={})

    assert [Delivered("slow", 0, 9)] == worker.seen()


def test_message_that_rabbitmq_delayed_went_to_its_queue():
    worker = Worker()
    worker.receive("0." * 27 + "1.slow", 9)

    assert [Delivered("slow", 0, 9)] == worker.seen()


@pytest.mark.parametrize("priority", [-1, 256, True])
def test_priority_that_no_broker_has_is_none(priority):
    worker = Worker()
    worker.receive("slow", 9, priority)

    assert [Delivered("slow", 0, 9)] == worker.seen()


def test_keys_that_strangers_write_are_bounded_and_hide_no_queue():
    worker = Worker()
    for number in range(2 * _KEPT):
        worker.receive(f"stranger-{number}", 9)
    worker.receive("slow", 9)

    seen = worker.seen()

    assert _KEPT + 1 == len(seen)
    assert Delivered("slow", 0, 9) in seen


def test_message_of_something_else_is_no_report():
    worker = Worker()
    worker.receive("slow", sent_at=True)
    worker.receive("slow", "9")

    assert [] == worker.seen()
