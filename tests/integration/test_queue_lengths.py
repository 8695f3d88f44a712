import pytest
from celery import Celery
from kombu import Queue

from askonce.adapters.celery.lengths import QueueLengths

pytestmark = [pytest.mark.integration, pytest.mark.rabbitmq]


def test_queue_that_is_missing_is_unknown_and_the_others_are_read(rabbitmq):
    app = Celery("lengths", broker=rabbitmq.url, set_as_current=False)
    with app.connection_for_write() as connection, connection.channel() as channel:
        for name in ("first", "last"):
            queue = Queue(f"lengths-{name}", auto_delete=False, durable=True)
            connection.Producer(channel).publish({}, routing_key=queue.name, declare=[queue])
    lengths = QueueLengths(app)

    found = [lengths.of(["lengths-first", "lengths-none", "lengths-last"]) for _ in range(2)]
    lengths.close()

    assert [{"lengths-first": 1, "lengths-none": None, "lengths-last": 1}] * 2 == found
