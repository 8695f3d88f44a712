import os
import socket
import subprocess
import sys

import pytest

from sandbox.folder import Folder, FolderUnusable
from sandbox.server import free_port

HOLDER = """
import sys
from pathlib import Path
from sandbox.folder import Folder
with Folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert b"held\n" == process.stdout.readline()
        yield process
        process.kill()


def test_second_sandbox_is_refused_and_told_who_runs(tmp_path, holder):
    with pytest.raises(FolderUnusable, match=f"process {holder.pid} runs a sandbox there"), Folder(tmp_path):
        pass


def test_killed_sandbox_leaves_its_folder_free(tmp_path, holder):
    holder.kill()
    holder.wait()

    with Folder(tmp_path):
        assert f"{os.getpid()}\n" == (tmp_path / "pid").read_text()


def test_folder_that_cannot_be_made_is_named(tmp_path):
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(FolderUnusable, match=f"{file}: File exists"), Folder(file):
        pass


def test_clear_deletes_only_what_a_sandbox_wrote(tmp_path):
    own = ["valkey/a", "ledger/b", "beat-schedule.dat", "worker.log", "ports/valkey"]
    for name in (*own, "mine/c", "mine.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    with Folder(tmp_path) as folder:
        folder.clear()

        assert ["mine", "mine.txt", "pid"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("known", ["", "12a"])
def test_port_of_a_damaged_file_is_a_free_one(tmp_path, known):
    with Folder(tmp_path) as folder:
        (tmp_path / "ports").mkdir()
        (tmp_path / "ports" / "valkey").write_text(known)

        assert folder.port("valkey") > 10_000


def test_server_has_its_port_again_while_no_other_process_listens(tmp_path):
    with Folder(tmp_path) as folder:
        first = folder.port("valkey")
        with listening(first) as server, socket.create_connection(("127.0.0.1", first)) as client:
            # The side that closes first keeps the port for a minute.
            server.accept()[0].close()
            assert b"" == client.recv(1)
        code = "import sys; from sandbox.server import free_port; print(free_port(int(sys.argv[1])))"
        again = subprocess.run(
            [sys.executable, "-c", code, str(first)], capture_output=True, text=True, check=True
        )

        assert first == int(again.stdout)


def test_port_of_a_server_that_listens_is_not_given():
    first = free_port()
    with listening(first):
        assert first != free_port(first)


def listening(port):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server
