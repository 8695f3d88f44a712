import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.deadlines import stretched

ROOT = Path(__file__).parents[2]
#: Announces that it can be interrupted, and ends with a code for each signal.
INTERRUPTED = """
import signal, sys
for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"):
    signal.signal(signal.Signals[name], lambda number, _: sys.exit(number + 50))
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture
def start():
    """Start a Python program under the command; it ends with the test at the latest."""
    started = []

    def begin(program):
        command = [sys.executable, "-m", "worker.unless_misconfigured", sys.executable, "-c", program]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "process_group": 0}
        started.append(subprocess.Popen(command, cwd=ROOT, **options))
        return started[-1]

    yield begin
    for process in started:
        # Also the program, where the command did not end it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("", 0),
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", 128 + 9),
    ],
)
def test_command_ends_with_the_code_of_its_program(start, program, code):
    assert code == start(program).wait(stretched(30))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"])
def test_signal_reaches_the_program(start, name):
    process = start(INTERRUPTED)
    assert "ready\n" == process.stdout.readline()

    process.send_signal(signal.Signals[name])

    assert signal.Signals[name] + 50 == process.wait(stretched(30))


def test_command_stays_until_it_is_stopped_when_its_program_ends_with_78(start):
    process = start("raise SystemExit(78)")

    line = process.stderr.readline()

    assert line.startswith("not started again: correct the configuration")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.terminate()
    assert 78 == process.wait(stretched(30))


def test_bad_setting_is_named_before_the_command_stays(start):
    process = start("import os; os.environ['REDIS_PORT'] = 'a'; import celeryconfig")

    assert process.stderr.readline().startswith("bad configuration: REDIS_PORT: ")
    assert process.stderr.readline().startswith("not started again: ")
