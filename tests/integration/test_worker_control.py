import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from sandbox.valkey import Valkey

pytestmark = [pytest.mark.timeout(30)]


def test_reply_to_a_monitor_does_not_wait_for_a_lost_broker():
    with Valkey() as server:
        app = Celery(broker=server.broker_url, control="worker.control:Control")
        with app.connection_for_write() as connection:
            node = app.control.mailbox(connection).Node("worker@here", channel=connection.default_channel)
            node.reply({"ok": "pong"}, "reply.exchange", "asker", "ticket")
            server.kill()

            with pytest.raises(OperationalError):
                node.reply({"ok": "pong"}, "reply.exchange", "asker", "ticket")


def test_the_workers_app_answers_monitors_that_way():
    from worker.app import app

    assert "worker.control" == type(app.control.mailbox).__module__
