import os
import subprocess
import sys

import pytest

from sandbox.machine import ROOT
from sandbox.valkey import Valkey
from tests.deadlines import stretched

pytestmark = pytest.mark.acceptance

#: Those that serve are tried in test_web_examples.py.
SERVING = {"fastapi_app.py", "flask_app.py", "http_replies.py"}
#: What each one prints, in this order.
LINES = {
    "own_celery_app.py": [
        "paying for BRL today",
        "Admitted {'currency': 'BRL', 'rate': 5.42}",
        "Attached {'currency': 'BRL', 'rate': 5.42}",
        "Hit cache",
        "the same job: True",
    ],
}


@pytest.fixture(params=["socket", "port"])
def server(request):
    with Valkey(tcp=request.param == "port") as server:
        yield server


def test_every_example_is_tried():
    assert {*LINES, *SERVING} == {path.name for path in (ROOT / "examples").glob("*.py")}


@pytest.mark.parametrize("name", LINES)
def test_example_runs_to_its_end_and_prints_what_it_should(server, name):
    env = {
        **os.environ,
        "REDIS_URL": server.url,
        "CELERY_BROKER_URL": server.broker_url,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, str(ROOT / "examples" / name)]

    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=stretched(60), check=False
    )

    assert 0 == done.returncode, done.stderr
    assert LINES[name] == done.stdout.splitlines()
    assert "Traceback" not in done.stderr
