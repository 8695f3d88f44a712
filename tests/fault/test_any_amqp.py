from itertools import count
from struct import error, pack

import pytest
from amqp import Connection, Message
from amqp.exceptions import AMQPError
from hypothesis import given
from hypothesis import strategies as st

from sandbox.valkey import Valkey
from tests.any_message import EMBED, amqp_changes, written
from tests.deadlines import stretched
from tests.fault.any_stage import Stage
from tests.fault.test_any_message import unshrunk

pytestmark = [pytest.mark.fault, pytest.mark.rabbitmq, pytest.mark.redis_broker("has a broker of its own")]

OURS = "askonce.adapters.kombu.amqp:Transport"
numbers = count(10**6)
#: Bytes of properties that fit into a frame.
HEADER_MAX = 100_000
#: What py-amqp raises for a value that AMQP has no form for.
UNWRITABLE = (AMQPError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError, error)


class Raw(Message):
    """A message whose properties are these bytes."""

    def __init__(self, raw):
        super().__init__("[[],{},{}]")
        self._raw = raw

    def _serialize_properties(self):
        return self._raw


def short(text):
    return bytes([len(text)]) + text


def table(*entries):
    content = b"".join(short(name) + value for name, value in entries)
    return pack(">I", len(content)) + content


def long(text):
    return b"S" + pack(">I", len(text)) + text


def headers(*entries):
    named = (b"task", long(b"add")), (b"id", long(b"m-1"))
    return pack(">H", 0xA000) + short(b"application/json") + table(*named, *entries)


def nested(levels):
    value = b"V"
    for _ in range(levels):
        value = b"A" + pack(">I", len(value)) + value
    return value


#: Properties that the server takes and py-amqp, or JSON, does not.
RAW = {
    "identity not UTF-8": pack(">H", 0x0400) + short(b"\xff"),
    "content type not UTF-8": pack(">H", 0x8000) + short(b"\xff"),
    "time after the last year": headers((b"x", b"T" + pack(">Q", 2**63))),
    "thousands of levels": headers((b"x", nested(5000))),
    "hundreds of levels": headers((b"x", nested(500))),
    "name not UTF-8": headers((b"\xff", long(b"x"))),
    "time of the message": pack(">H", 0x0040) + pack(">Q", 2**64 - 1),
}


class RabbitStage(Stage):
    """Sends messages to a queue of RabbitMQ."""

    def __init__(self, store_url, folder, env, place):
        super().__init__(store_url, folder, env)
        self._place = place

    def send(self, *messages):
        return sum(map(self._is_sent, messages))

    def _is_sent(self, message):
        """Return whether it was sent: py-amqp cannot write each, and the server refuses some."""
        try:
            if len(message._serialize_properties()) > HEADER_MAX:
                return False
        except UNWRITABLE:
            return False
        with Connection(**self._place, confirm_publish=True, connect_timeout=stretched(10)) as connection:
            try:
                connection.channel().basic_publish(message, routing_key="any")
            except AMQPError:
                return False
        return True

    @staticmethod
    def job():
        return message_of(())


def message_of(changed):
    number = next(numbers)
    described = {"lang": "py", "task": "add", "id": f"m-{number}", "retries": 0}
    options = {"content_type": "application/json", "content_encoding": "utf-8"}
    body = [[], {"n": number}, EMBED]
    for place, name, value in changed:
        {"header": described, "option": options, "payload": body[1]}[place][name] = value
    return Message(written(body), application_headers=described, **options)


@pytest.fixture(scope="module")
def stage(rabbitmq, tmp_path_factory):
    host = rabbitmq.new_host()
    env = {"ANY_BROKER_URL": rabbitmq.url_of(host), "ANY_TRANSPORT": OURS}
    place = {"host": f"127.0.0.1:{rabbitmq.port}", "virtual_host": host}
    with Valkey(tcp=True) as server:
        stage = RabbitStage(server.url, tmp_path_factory.mktemp("any"), env, place)
        with stage.worker("threads"):
            yield stage
        left = rabbitmq.ask("list_queues", "-p", host, "messages", "--no-table-headers")
        assert {"0"} == set(left.split())


@unshrunk
@given(changed=st.lists(amqp_changes(), min_size=1, max_size=8))
def test_worker_outlives_what_amqp_carries(stage, changed):
    stage.end(*map(message_of, changed))


@pytest.mark.parametrize("what", RAW)
def test_properties_that_cannot_be_read_are_a_dead_letter(stage, what):
    assert ["message.invalid_task"] == stage.end(Raw(RAW[what]))
