import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from kombu import Connection
from redis import Redis

from sandbox.server import ServerNotReady, free_port
from sandbox.valkey import Valkey
from tests.deadlines import stretched

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
OWNER = """
import sys
from sandbox.valkey import Valkey
with Valkey() as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
def test_server_starts_again_where_it_was_with_what_it_had(tmp_path, tcp):
    with Valkey(tmp_path / "data", tcp=tcp) as server, Redis.from_url(server.url) as client:
        url, first = server.url, server.pid
        client.set("a", 1)
        client.execute_command("WAITAOF", 1, 0, 2000)

        server.kill()
        server.start()

        assert url == server.url
        assert first != server.pid
        assert b"1" == client.get("a")


def test_server_never_drops_a_queue_to_make_room(valkey):
    with Redis.from_url(valkey.url) as client:
        options = client.config_get("maxmemory-policy", "appendonly", "appendfsync", "save")

    assert {
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
    } == options


def test_server_listens_on_this_machine_only():
    with Valkey(tcp=True) as server, Redis.from_url(server.url) as client:
        assert {"bind": "127.0.0.1"} == client.config_get("bind")
        assert server.port > 10_000


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
def test_broker_url_is_understood_by_the_broker_client(tcp):
    with Valkey(tcp=tcp) as server, Connection(server.broker_url) as connection:
        queue = connection.SimpleQueue("q")
        queue.put({"n": 1})

        message = queue.get(timeout=stretched(5))

        assert {"n": 1} == message.payload
        message.ack()
        queue.close()


def test_server_dies_with_its_owner_even_by_sigkill(tmp_path, eventually):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with owner:
        server = int(owner.stdout.readline())
        os.kill(server, 0)
        owner.kill()

    def gone():
        try:
            os.kill(server, 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{server}/stat").read_text().split(") ")[1].startswith("Z")

    assert eventually(gone)


def test_temporary_data_is_deleted_and_a_folder_of_its_own_is_kept(tmp_path):
    with Valkey() as temporary, Valkey(tmp_path / "data") as kept:
        pass

    assert not temporary.folder.exists()
    assert list(kept.folder.iterdir())


def test_server_that_cannot_start_shows_why():
    with pytest.raises(ServerNotReady, match="no-such-option"), Valkey(options="no-such-option yes"):
        pass


def test_stopped_server_is_gone_and_may_be_stopped_again():
    with Valkey() as server:
        pid = server.pid
        server.stop()
        server.stop()

        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


@pytest.mark.skipif(sys.platform != "linux", reason="ports are claimed on Linux only")
def test_claimed_port_is_refused_to_others_but_not_to_its_server():
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)) as link:
        assert link.getpeername()[1] == port
