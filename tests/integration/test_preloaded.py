import json
import os
import signal
import subprocess

import pytest

from tests.deadlines import stretched
from tests.preloaded import start

pytestmark = pytest.mark.integration

# The engine is there: Celery loads the commands that it brings.
SCRIPT = """
import json, os, sys
before = [name for name in sys.modules if name.split(".")[0] in ("settings", "tasks", "worker")]
json.dump([os.getpid(), sys.argv[1:], dict(os.environ), before, "celery" in sys.modules], sys.stdout)
sys.exit(7)
"""


@pytest.fixture
def begin(tmp_path):
    """Start a script; gives the process and the file that it writes to."""

    def run(text, *arguments, **env):
        script, out = tmp_path / "script.py", tmp_path / "out"
        script.write_text(text)
        with out.open("wb") as file:
            return start([script, *arguments], env, stdout=file, stderr=file), out

    return run


def test_program_forks_with_libraries_but_no_project_code(begin):
    started, out = begin(SCRIPT, "one", "2", PLACE="here")

    code = started.wait(stretched(60))

    own = [started.pid, ["one", "2"], {"PLACE": "here"}, [], True]
    assert (7, own) == (code, json.loads(out.read_text()))
    assert os.getpid() != started.pid


def test_program_runs_until_it_is_killed(begin):
    started, _ = begin("import signal\nsignal.pause()\n")

    with pytest.raises(subprocess.TimeoutExpired):
        started.wait(0.01)
    running = started.poll()
    started.kill()

    assert (None, -signal.SIGKILL) == (running, started.wait(stretched(60)))


def test_program_that_raises_ends_with_1_and_its_traceback(begin):
    started, out = begin("raise RuntimeError('no')\n")

    assert 1 == started.wait(stretched(60))
    assert out.read_text().endswith("RuntimeError: no\n")
