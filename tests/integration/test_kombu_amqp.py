from contextlib import closing

import pytest
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError

from askonce.adapters.celery.sender import CelerySender
from askonce.errors import SendFailed
from askonce.message import Message
from tests.brokers import RabbitQueue
from tests.jobs import new_job
from tests.servers.proxy import Proxy

pytestmark = [pytest.mark.integration, pytest.mark.rabbitmq]

OURS = "askonce.adapters.kombu.amqp:Transport"
#: Short, so that nobody waits for long; no test measures it.
OPTIONS = {"confirm_publish": True, "reply_timeout": 0.5, "max_retries": 1, "interval_start": 0.1}
MESSAGE = Message(new_job("a" * 64, task="orders", fingerprint="b" * 64))


@pytest.fixture
def host(rabbitmq):
    return rabbitmq.new_host()


@pytest.fixture
def link(rabbitmq):
    with Proxy(rabbitmq.port) as link:
        yield link


@pytest.fixture
def sender(rabbitmq, host, link):
    """Sends through the link to a quorum queue."""
    app = Celery("sender", broker=rabbitmq.url_of(host, link.port), set_as_current=False)
    app.conf.update(
        broker_transport=OURS,
        broker_transport_options=OPTIONS,
        broker_connection_timeout=0.5,
        task_default_queue=RabbitQueue.NAME,
        task_default_queue_type="quorum",
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0},
    )
    with closing(app):
        yield CelerySender(app)


@pytest.fixture
def queue(rabbitmq, host):
    return RabbitQueue(rabbitmq.port, host)


def test_message_is_sent_when_the_server_has_confirmed_it(sender, queue):
    sender.send(MESSAGE)

    assert 1 == queue.waiting()


@pytest.mark.parametrize("known", [True, False], ids=["connected", "first"])
def test_server_that_hangs_fails_the_sending_and_is_used_again(sender, link, queue, known):
    if known:
        sender.send(MESSAGE)
    with link.blocked(), pytest.raises(SendFailed) as failed:
        sender.send(MESSAGE)
    before = queue.waiting()

    sender.send(MESSAGE)

    assert (MESSAGE.job.key, MESSAGE.job.id) == (failed.value.key, failed.value.job)
    assert queue.waiting() > before


def test_server_that_refuses_links_fails_the_sending(sender, link):
    sender.send(MESSAGE)

    with link.refusing():
        link.cut()
        with pytest.raises(SendFailed):
            sender.send(MESSAGE)


def test_message_whose_confirmation_is_lost_is_sent_again(sender, link, queue):
    sender.send(MESSAGE)
    lost = link.drop_reply(MESSAGE.job.fingerprint.encode())

    sender.send(MESSAGE)

    assert lost.is_set()
    assert queue.waiting() in (2, 3)


def test_server_without_memory_fails_the_sending(rabbitmq, sender):
    sender.send(MESSAGE)
    rabbitmq.ask("set_vm_memory_high_watermark", "0.00001")
    try:
        with pytest.raises(SendFailed):
            sender.send(MESSAGE)
    finally:
        rabbitmq.ask("set_vm_memory_high_watermark", "0.4")

    sender.send(MESSAGE)


def test_late_confirmation_is_not_taken_for_the_next_message(rabbitmq, host, link, eventually):
    url, options = rabbitmq.url_of(host, link.port), {"confirm_publish": True, "reply_timeout": 0.5}
    with Connection(url, transport=OURS, transport_options=options, connect_timeout=5) as connection:
        producer = connection.Producer()
        producer.publish("1", routing_key="nowhere")
        first = connection.connection
        with link.blocked(), pytest.raises(connection.recoverable_connection_errors):
            producer.publish("2", routing_key="nowhere")

        assert not first.connected


@pytest.mark.parametrize("step", ["declare", "channel"])
def test_every_wait_for_a_reply_ends(rabbitmq, host, link, step):
    url, options = rabbitmq.url_of(host, link.port), {"reply_timeout": 0.5}
    with Connection(url, transport=OURS, transport_options=options, connect_timeout=5) as connection:
        channel = connection.channel()
        with link.blocked(), pytest.raises((*connection.recoverable_connection_errors, OperationalError)):
            channel.queue_declare("q") if step == "declare" else connection.channel()
