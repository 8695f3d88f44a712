import os
import subprocess
import sys
from pathlib import Path

import pytest
from amqp import Connection, Message

from sandbox.server import ServerNotReady
from tests.servers.rabbitmq import RabbitMQ

pytestmark = [pytest.mark.integration, pytest.mark.rabbitmq]

ROOT = Path(__file__).parents[2]
OWNER = """
import sys
from tests.servers.rabbitmq import RabbitMQ
with RabbitMQ() as server:
    print(server.pid, server.mapper_pid, flush=True)
    sys.stdin.read()
"""
QUORUM = {"x-queue-type": "quorum"}


def connect(server, host="/"):
    return Connection(f"127.0.0.1:{server.port}", virtual_host=host, confirm_publish=True)


def test_killed_server_restarts_with_every_confirmed_message():
    with RabbitMQ() as server:
        url, first = server.url, server.pid
        with connect(server) as connection, connection.channel() as channel:
            channel.queue_declare("q", durable=True, auto_delete=False, arguments=QUORUM)
        # A queue's own entry is on disk half a second after its making, or at the end of the server.
        server.stop()
        server.start()
        with connect(server) as connection, connection.channel() as channel:
            for n in range(20):
                channel.basic_publish(Message(str(n), delivery_mode=2), routing_key="q")

        server.kill()
        server.start()

        with connect(server) as connection, connection.channel() as channel:
            kept = [channel.basic_get("q", no_ack=True).body for _ in range(20)]
        assert [str(n) for n in range(20)] == kept
        assert url == server.url
        assert first != server.pid


def test_virtual_hosts_share_no_queue(rabbitmq):
    one, other = rabbitmq.new_host(), rabbitmq.new_host()
    with connect(rabbitmq, one) as connection, connection.channel() as channel:
        channel.queue_declare("q", durable=True, auto_delete=False, arguments=QUORUM)

    assert "q" == rabbitmq.ask("list_queues", "-p", one, "name", "--no-table-headers").strip()
    assert "" == rabbitmq.ask("list_queues", "-p", other, "name", "--no-table-headers").strip()


def test_server_and_mapper_die_with_their_owner_by_sigkill(tmp_path, eventually):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with owner:
        processes = [int(pid) for pid in owner.stdout.readline().split()]
        for pid in processes:
            os.kill(pid, 0)
        owner.kill()

    eventually(lambda: all(map(is_gone, processes)), 30)
    assert 2 == len(processes)


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1].startswith("Z")
    except FileNotFoundError:
        return True


def test_closed_server_leaves_neither_data_nor_processes():
    with RabbitMQ() as server:
        processes = server.pid, server.mapper_pid

    assert not server.folder.exists()
    assert all(map(is_gone, processes))


def test_server_that_cannot_start_shows_why():
    with pytest.raises(ServerNotReady, match="no_such_option"), RabbitMQ(options="no_such_option = 1"):
        pass
