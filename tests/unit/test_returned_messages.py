"""Messages that a worker gives back to a paused queue are put back together, in their order."""

from types import SimpleNamespace

import pytest

from askonce.adapters.celery.paused_queues import PausedQueues
from askonce.controls import Pause
from askonce.events import ignore


class Request:
    """A message that came by the queue ``slow``; notes when it is put back in front of its queue."""

    def __init__(self, name, put_back):
        self.delivery_info = {"queue": "slow"}
        self._message = SimpleNamespace(channel=None, requeue=lambda: put_back.insert(0, name))


@pytest.fixture
def paused():
    queue = SimpleNamespace(name="slow", routing_key="slow")
    taken = SimpleNamespace(queues=[queue])
    consumer = SimpleNamespace(
        task_consumer=taken,
        cancel_task_queue=lambda _name: taken.queues.clear(),
        add_task_queue=lambda _name: taken.queues.append(queue),
        call_soon=lambda call, *arguments: call(*arguments),
    )
    app = SimpleNamespace(
        amqp=SimpleNamespace(queues={"slow": queue}), askonce=SimpleNamespace(listen=ignore)
    )
    paused = PausedQueues(app)
    paused.follow(consumer)
    return paused


def test_message_that_its_pool_returns_late_goes_behind_those_before_it(paused):
    put_back, holds = [], {Pause("queue", "slow"): "a note"}
    paused.give_back(Request("first", put_back))
    paused.apply_soon(holds)
    paused.give_back(Request("second", put_back))

    paused.apply_soon(holds)
    assert [] == put_back, "another one may follow"
    paused.apply_soon(holds)
    assert ["first", "second"] == put_back


def test_end_of_a_pause_puts_back_at_once(paused):
    put_back = []
    paused.give_back(Request("first", put_back))

    paused.apply_soon({})

    assert (["first"], ()) == (put_back, paused.held)
