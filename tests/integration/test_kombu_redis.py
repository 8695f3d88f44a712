import json

import pytest
from kombu import Connection, Queue
from kombu.message import Message
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from askonce.adapters.kombu.put_first import put_first
from askonce.adapters.kombu.redis import Transport
from sandbox.valkey import Valkey
from tests.deadlines import eventually, stretched
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.integration

QUEUE = Queue("jobs")


@pytest.fixture(scope="module")
def server():
    with Valkey(tcp=True) as server:
        yield server


@pytest.fixture(params=["", "shop:"])
def prefix(request):
    return request.param


@pytest.fixture
def connect(server, prefix):
    """Open a connection to the broker, over kombu's own transport or ours."""
    opened = []

    def open_one(transport):
        options = {"global_keyprefix": prefix}
        connection = Connection(server.url, transport=transport, transport_options=options)
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.release()


@pytest.fixture
def broker(server):
    with Redis.from_url(server.url, decode_responses=True) as client:
        client.flushall()
        yield client


def deliver(connection):
    """Send one message and take it, as a worker does; returns the message."""
    channel = connection.channel()
    connection.Producer(channel).publish({"x": 1}, routing_key="jobs", declare=[QUEUE])
    return QUEUE(channel).get()


def state(broker):
    """What the broker keeps of deliveries, without the two values that differ from time to time."""
    kept = {}
    for key in broker.keys("*unacked*"):
        if key.endswith("unacked_index"):
            kept[key] = broker.zcard(key)
        elif broker.type(key) == "hash":
            kept[key] = [keys_of(json.loads(value)) for value in broker.hvals(key)]
    return kept


def keys_of(noted):
    message, exchange, routing_key = noted
    return sorted(message), sorted(message["properties"]), exchange, routing_key


def test_a_delivery_is_noted_as_kombu_notes_it(connect, broker, prefix):
    deliver(connect("redis"))
    theirs = state(broker)
    broker.flushall()

    deliver(connect(Transport))

    assert theirs == state(broker)
    assert {f"{prefix}unacked", f"{prefix}unacked_index"} == set(theirs)


@pytest.mark.parametrize("form", ["base64", "utf-8", "UTF-8", None])
def test_what_kombu_writes_is_taken_whatever_its_option_for_bodies(connect, broker, form):
    sender, taker, taken = connect("redis"), connect(Transport), []
    sender.transport_options["body_encoding"] = form
    channel = sender.channel()
    sender.Producer(channel).publish({"x": "é"}, routing_key="jobs", declare=[QUEUE])

    with taker.Consumer(QUEUE, callbacks=[lambda body, message: (taken.append(body), message.ack())]):
        taker.drain_events(timeout=stretched(10))

    assert [{"x": "é"}] == taken


def items_of(broker, queue, *changes):
    """Return messages as a stranger writes them: all with one tag, and with *changes* of where they go."""
    for where in changes:
        to = {"exchange": "", "routing_key": "jobs", **where}
        properties = {"delivery_tag": "tag", "delivery_info": to, "body_encoding": "base64"}
        broker.lpush(queue, json.dumps({"body": "", "headers": {}, "properties": properties}))


def take(connection, number):
    taken = []
    with connection.Consumer(QUEUE, callbacks=[lambda _, message: taken.append(message)]):
        while len(taken) < number:
            connection.drain_events(timeout=stretched(10))
    return taken


def test_deliveries_with_one_tag_are_noted_apart(connect, broker, prefix):
    items_of(broker, f"{prefix}jobs", {}, {})

    first, _second = take(connect(Transport), 2)
    first.ack()

    assert 1 == broker.hlen(f"{prefix}unacked")


@pytest.mark.parametrize("where", [{"exchange": "nowhere"}, {"routing_key": "another"}])
def test_message_goes_back_to_the_queue_that_it_came_from(connect, broker, prefix, where):
    items_of(broker, f"{prefix}jobs", where)

    [message] = take(connect(Transport), 1)
    message.requeue()

    assert 1 == broker.llen(f"{prefix}jobs")
    assert {} == state(broker)


def numbers(broker, prefix):
    """Return the numbers of the messages that wait, the next one first."""
    return [json.loads(item)["headers"]["n"] for item in reversed(broker.lrange(f"{prefix}jobs", 0, -1))]


@pytest.mark.parametrize("transport", ["redis", Transport], ids=["kombu's", "ours"])
def test_message_that_is_put_first_is_the_next_one_again(connect, broker, prefix, transport):
    connection = connect(transport)
    producer = connection.Producer(connection.channel())
    for n in range(4):
        producer.publish({}, routing_key="jobs", headers={"n": n}, declare=[QUEUE])
    first, second = take(connection, 2)

    put_first(second)
    put_first(first)

    assert [0, 1, 2, 3] == numbers(broker, prefix)
    assert {} == state(broker)
    assert first.acknowledged


def test_message_on_its_way_to_a_cancelled_queue_stays_the_first(connect, broker, prefix):
    connection = connect(Transport)
    channel, other = connection.channel(), Queue("others")
    consumer = connection.Consumer([QUEUE, other], channel=channel, callbacks=[pytest.fail])
    with consumer, pytest.raises(TimeoutError):
        connection.drain_events(timeout=0.1)
    # The command that waits for a message names both queues still.
    with connection.Consumer([other], channel=channel, callbacks=[pytest.fail]):
        producer = connect(Transport).Producer()
        for n in range(3):
            producer.publish({}, routing_key="jobs", headers={"n": n})
        # It comes, and goes back.
        connection.drain_events(timeout=stretched(10))
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.1)

    assert [0, 1, 2] == numbers(broker, prefix)
    assert {} == state(broker)


def test_an_acknowledged_delivery_is_forgotten(connect, broker):
    deliver(connect(Transport)).ack()

    assert {} == state(broker)


def test_a_worker_on_kombus_transport_restores_what_ours_left(connect, broker, prefix):
    tag = deliver(connect(Transport)).delivery_tag

    connect("redis").channel().qos.restore_by_tag(tag)

    assert 1 == broker.llen(f"{prefix}jobs")
    assert {} == state(broker)


@pytest.mark.parametrize(("options", "seconds"), [({}, 60), ({"visibility_timeout": 7}, 7)])
def test_visibility_timeout_is_a_minute_unless_it_is_set(server, options, seconds):
    with Connection(server.url, transport=Transport, transport_options=options) as connection:
        assert seconds == connection.channel().qos.visibility_timeout


def test_a_closed_channel_leaves_no_connection(connect, broker, eventually):
    others = len(broker.client_list())
    connection = connect(Transport)
    deliver(connection).ack()

    connection.release()

    # Not more than before; those of an earlier test may have gone meanwhile.
    eventually(lambda: others >= len(broker.client_list()))


@pytest.mark.parametrize("spoil", ["wrong_type", "no_permission"])
def test_a_command_that_the_server_refuses_is_an_error(connect, broker, prefix, spoil):
    message = deliver(connect(Transport))
    message.channel.qos.restore_at_shutdown = False
    if spoil == "wrong_type":
        broker.delete(f"{prefix}unacked_index")
        broker.set(f"{prefix}unacked_index", "a word")
    else:
        broker.execute_command("ACL", "SETUSER", "default", "-zrem")

    try:
        with pytest.raises(ResponseError):
            message.ack()
    finally:
        broker.execute_command("ACL", "SETUSER", "default", "+zrem")


def test_a_broker_that_is_gone_is_an_error_that_kombu_knows():
    with Valkey(tcp=True) as own:
        connection = Connection(own.url, transport=Transport)
        message = deliver(connection)
        own.kill()

        with pytest.raises(connection.connection_errors) as caught:
            message.ack()
        # Else kombu would restore it when the tests end, from a server that is gone.
        message.channel.qos.restore_at_shutdown = False

        assert isinstance(caught.value, RedisConnectionError)


@pytest.mark.parametrize("settle", [Message.ack, Message.reject, Message.requeue, put_first])
def test_delivery_that_could_not_be_settled_comes_again(server, broker, settle):
    options = {"visibility_timeout": 1, "socket_connect_timeout": 1}
    with Proxy(server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        with Connection(url, transport=Transport, transport_options=options) as connection:
            message = deliver(connection)
            with proxy.refusing():
                proxy.cut()
                with pytest.raises(connection.connection_errors):
                    settle(message)

            # What is renewed would not be there for another one, nor leave this one a place.
            message.channel.basic_qos(0, 1, apply_global=False)
            assert message.channel.qos.can_consume()
            eventually(lambda: message.channel.qos.restore_visible() or broker.llen("jobs"))

    assert 1 == broker.llen("jobs")
    assert {} == state(broker)


def test_channel_closed_after_its_connection_reports_a_lost_link(connect):
    # With a delivery to give back kombu opens its connections anew, and has nowhere to.
    channel = connect(Transport).channel()
    channel._disconnect_pools()
    channel.connection.client = None

    with pytest.raises(RedisConnectionError):
        channel._create_client()
