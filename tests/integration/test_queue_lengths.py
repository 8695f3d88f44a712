import pytest
from celery import Celery
from kombu import Queue
from redis import Redis
from redis.exceptions import ResponseError

from askonce.adapters.celery.lengths import QueueLengths
from sandbox.valkey import Valkey

pytestmark = pytest.mark.integration


@pytest.mark.rabbitmq
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


@pytest.fixture
def lengths_of():
    """Return the lengths of queues, two of which have messages; one list is none of the user's."""
    with Valkey(tcp=True) as server, Redis.from_url(server.url) as client:
        client.lpush("own", "message")
        client.lpush("strange", "message")
        client.hset("unacked", "tag", "message")
        rights = ["~own*", "~unacked*", "+llen", "+multi", "+exec", "+ping"]
        client.execute_command("ACL", "SETUSER", "reader", "on", ">word", *rights)
        url = f"redis://reader:word@127.0.0.1:{server.port}/0"
        lengths = QueueLengths(Celery("lengths", broker=url, set_as_current=False))
        yield lambda *names: lengths.of(names)
        lengths.close()


def test_queue_that_the_server_refuses_to_tell_of_hides_no_other(lengths_of):
    expected = {"own": 1, "strange": None, "unacked": None, "own-empty": 0}

    assert [expected] * 2 == [lengths_of(*expected) for _ in range(2)]


def test_server_that_refuses_to_tell_of_any_queue_is_no_answer(lengths_of):
    with pytest.raises(ResponseError):
        lengths_of("strange", "unacked")
