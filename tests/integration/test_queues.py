"""What an operator sees of the queues of each broker, and what a purge deletes."""

import json
from contextlib import ExitStack

import pytest
from kombu import Connection, Queue
from redis import Redis

from askonce.adapters.celery.header import identity
from askonce.adapters.kombu.queues import queues_of
from askonce.errors import BrokerUnavailable
from askonce.message import Message
from askonce.queues import Waiting
from sandbox.server import free_port
from tests.jobs import new_job

pytestmark = pytest.mark.integration

MARKER = "ana-souza-said"
KEY = "0a" + "0" * 62


@pytest.fixture(params=["redis", "askonce.adapters.kombu.redis:Transport"], ids=["kombus", "ours"])
def connection(request, tcp_server):
    with Redis.from_url(tcp_server.url) as client:
        client.flushall()
    options = {"global_keyprefix": "shop:"}
    with Connection(tcp_server.url, transport=request.param, transport_options=options) as connection:
        yield connection


@pytest.fixture
def queues(connection):
    with queues_of(connection, ["slow"]) as queues:
        yield queues


def send(connection, job="j-1", *, queue="slow", priority=0, sent_at=5):
    """Send the message of a job as askonce does."""
    message = Message(new_job(KEY, job)._replace(tenant="acme", run="night"), sent_at=sent_at)
    headers = {"task": "t", "id": job, "headers": {"askonce": identity(message, job)}}
    with connection.channel() as channel:
        connection.Producer(channel).publish(
            {"x": MARKER}, routing_key=queue, declare=[Queue(queue)], headers=headers, priority=priority
        )


def test_lengths_and_the_next_message_are_shown(connection, queues):
    for number in range(3):
        send(connection, f"j-{number}", sent_at=number)

    slow, nothing = queues.look(["slow", "none"])

    assert ("slow", 3, "j-0", KEY) == (slow.name, slow.messages, slow.next.id, slow.next.key)
    assert ("none", 0, None, ()) == nothing
    assert [] == queues.look([])


def test_messages_are_shown_in_the_order_of_their_delivery(connection, queues):
    for number, priority in enumerate([9, 0, 3, 0]):
        send(connection, f"j-{number}", priority=priority)

    found = queues.peek("slow", 10)

    assert ((0, 2), (3, 1), (9, 1)) == queues.look(["slow"])[0].priorities
    assert [("j-1", 0), ("j-3", 0), ("j-2", 3), ("j-0", 9)] == [(each.id, each.priority) for each in found]
    assert found[:3] == queues.peek("slow", 3)


def test_no_payload_is_shown(connection, queues):
    send(connection)

    [message] = queues.peek("slow", 1)

    assert MARKER not in repr(message)
    assert ("t", "acme", "night", 5) == (message.task, message.tenant, message.run, message.sent_at)
    assert message.size > len(MARKER)


@pytest.mark.parametrize(
    "item", [b"\xff", b"[]", b"{}", b'{"headers": []}', b'{"headers": {"task": 7, "id": ["x"]}}'], ids=repr
)
def test_what_is_no_message_of_a_task_is_shown_by_its_size(tcp_server, queues, item):
    with Redis.from_url(tcp_server.url) as client:
        client.lpush("shop:slow", item)

    assert [Waiting(size=len(item))] == queues.peek("slow", 1)


def test_place_of_a_job_counts_more_urgent_messages(connection, queues):
    for number, priority in enumerate([9, 0, 3, 0, 9]):
        send(connection, f"job-{number}", priority=priority)

    places = {job: queues.before("slow", priority, job) for job, priority in [("job-1", 0), ("job-4", 9)]}

    assert {"job-1": 0, "job-4": 4} == places
    assert None is queues.before("slow", 0, "job-x")


def test_place_behind_many_messages_is_found(tcp_server, queues):
    with Redis.from_url(tcp_server.url) as client:
        client.rpush("shop:slow", "mine", *(str(number) for number in range(250)))

    assert 250 == queues.before("slow", 0, "mine")


def test_purge_deletes_all_priorities_of_one_queue(connection, queues):
    for priority in (0, 9):
        send(connection, priority=priority)
    send(connection, queue="other")

    assert (2, 0) == (queues.purge("slow"), queues.purge("slow"))
    assert [0, 1] == [queue.messages for queue in queues.look(["slow", "other"])]


def test_queue_that_is_something_else_says_no_length(tcp_server, queues):
    with Redis.from_url(tcp_server.url) as client:
        client.set("shop:slow", "x")

    assert ("slow", None, None, ()) == queues.look(["slow"])[0]


def test_user_without_the_right_is_told_so(tcp_server, connection):
    with Redis.from_url(tcp_server.url) as client:
        client.execute_command("ACL", "SETUSER", "poor", "on", "nopass", "~*", "+llen", "+multi", "+exec")
        port = client.connection_pool.connection_kwargs["port"]
    with ExitStack() as stack:
        poor = stack.enter_context(Connection(f"redis://poor:x@127.0.0.1:{port}/0"))
        queues = stack.enter_context(queues_of(poor, ["slow"]))

        with pytest.raises(BrokerUnavailable, match="noperm"):
            queues.purge("slow")
        with pytest.raises(BrokerUnavailable, match="noperm"):
            queues.peek("slow", 1)


def test_broker_that_is_away_is_told_so():
    url = f"redis://127.0.0.1:{free_port()}/0"
    with Connection(url) as away, queues_of(away, ["slow"]) as queues:
        for ask in (lambda: queues.look(["slow"]), lambda: queues.purge("slow")):
            with pytest.raises(BrokerUnavailable):
                ask()


@pytest.mark.rabbitmq
def test_rabbitmq_says_lengths_and_shows_no_message(rabbitmq):
    confirmed = {"confirm_publish": True}
    url = rabbitmq.url_of(rabbitmq.new_host())
    with (
        Connection(url, transport_options=confirmed) as connection,
        queues_of(connection, []) as queues,
    ):
        for job in ("j-1", "j-2"):
            send(connection, job)

        assert [("slow", 2, None, ()), ("none", None, None, ())] == queues.look(["slow", "none"])
        assert (None, None) == (queues.peek("slow", 1), queues.before("slow", 0, "j-1"))
        assert (2, [0]) == (queues.purge("slow"), [each.messages for each in queues.look(["slow"])])
        json.dumps(queues.look(["slow"]))
