import json
import select
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.deadlines import stretched

pytestmark = [pytest.mark.integration, pytest.mark.long]

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 20


def test_impossible_option_is_named_before_anything_starts(stand_in_command, tmp_path):
    ended = subprocess.run(
        stand_in_command(tmp_path, "--failure-rate", "3"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert "failure_rate: 3.0" in ended.stderr.splitlines()[-1]


def test_port_that_is_taken_is_named_in_one_line(stand_in_command, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            stand_in_command(tmp_path, "--port", str(port)),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith(f"cannot start: Address already in use (port {port})")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_on_a_signal_even_while_it_holds_a_call(stand_in, ending):
    stand_in.set(hold=True)
    with ThreadPoolExecutor() as pool, httpx2.Client(timeout=stretched(DEADLINE_SECONDS)) as http:
        cut = pool.submit(http.get, f"{stand_in.url}/customers/1")
        stand_in.wait_for_held(1)
        stand_in.process.send_signal(ending)

        assert stand_in.process.wait(stretched(DEADLINE_SECONDS)) == 0
        assert isinstance(cut.exception(stretched(DEADLINE_SECONDS)), httpx2.TransportError)


def test_it_does_not_outlive_a_killed_parent(stand_in_command, tmp_path):
    code = f"import signal, subprocess; subprocess.Popen({stand_in_command(tmp_path)!r}); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        url = json.loads(parent.stdout.readline())["customer_api_url"]

        parent.kill()

        # Both processes hold this pipe: it ends when the last of them has.
        ended, _, _ = select.select([parent.stdout], [], [], stretched(DEADLINE_SECONDS))
        assert ended, "the stand-in lives on"
        assert parent.stdout.read() == b""
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/healthz")
