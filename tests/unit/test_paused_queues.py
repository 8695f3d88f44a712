"""Which queues a worker leaves alone while pauses hold."""

from types import SimpleNamespace

import pytest
from celery import Celery
from kombu import Queue

from askonce.adapters.celery import AskOnce
from askonce.adapters.memory import MemoryStore
from askonce.controls import Pause


@pytest.fixture
def left_alone():
    """Return which queues of a worker are left alone while one of these names is paused."""

    def apply(name, *queues):
        app, cancelled = Celery("rates", broker="memory://", set_as_current=False), []
        app.conf.task_queues = queues
        once = AskOnce(app, store=MemoryStore, check=None)
        consumer = SimpleNamespace(
            task_consumer=SimpleNamespace(queues=list(app.amqp.queues.values())),
            cancel_task_queue=cancelled.append,
            add_task_queue=cancelled.remove,
        )
        once.paused_queues.follow(consumer)
        once.paused_queues.apply({Pause("queue", name): "ana: why"})
        return cancelled

    return apply


@pytest.mark.parametrize("name", ["celery", "fast"])
def test_pause_of_a_queue_leaves_others_that_have_the_default_key(left_alone, name):
    # Celery gives the key of its default queue to both.
    assert [name] == left_alone(name, Queue("celery"), Queue("fast"))


@pytest.mark.parametrize("name", ["slow", "key.of.slow"])
def test_queue_is_paused_by_its_name_and_by_a_key_of_its_own(left_alone, name):
    assert ["slow"] == left_alone(name, Queue("slow", routing_key="key.of.slow"), Queue("fast"))
