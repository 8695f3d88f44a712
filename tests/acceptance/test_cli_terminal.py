"""A person at a terminal is asked, and may end the question."""

import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest

from sandbox.machine import ROOT
from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120), pytest.mark.long]

#: A session gets the terminal that it opens first, and with it the Ctrl-C; tests that a shell runs in the
#: background ignore that, and so would their children.
AT_TERMINAL = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.close(os.open(os.ttyname(0), os.O_RDWR))
os.execv(sys.executable, [sys.executable, "-m", "producer", *sys.argv[1:]])
"""


PRICE = '{"a-model": {"input": 1, "output": 4}}'


@pytest.mark.parametrize(
    ("options", "price", "typed", "code", "word"),
    [
        ([], PRICE, b"\x03", 130, b"interrupted"),
        ([], PRICE, b"n\n", 3, b"--yes"),
        ([], "{}", b"n\n", 3, b"cost: unknown"),
        (["--quiet"], PRICE, b"n\n", 3, b"cost: $"),
    ],
    ids=["ctrl-c", "no", "unknown price", "quiet"],
)
def test_question_before_a_dear_run_is_ended_by_its_exit_code(
    idle_machine, rows_file, options, price, typed, code, word
):
    file = rows_file({"meeting_id": "asked", "transcript": "Ana: We ship on Friday."})
    env = {**idle_machine.env, "TERM": "xterm", "OPENAI_MODEL": "a-model", "LLM_PRICES": price}
    command = ["submit", "meetings.extract", str(file), "--wait", "--confirm-above", "0", *options]
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", AT_TERMINAL, *command],
        cwd=ROOT,
        env=env,
        stdin=its,
        stdout=subprocess.PIPE,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    seen = b""
    try:
        while b"Go on?" not in seen:
            seen += os.read(ours, 65536)
        out = typed_until_it_ends(process, ours, typed)
        seen += os.read(ours, 65536)
    finally:
        process.kill()
        process.communicate()
        os.close(ours)

    assert (code, b"") == (process.returncode, out)
    assert word in seen
    assert b"1 row: 0 invalid, 1 distinct" in seen


def typed_until_it_ends(process, ours, typed):
    """Type into the terminal; again where a Ctrl-C comes just before the read that it is to end."""
    for _ in range(5):
        os.write(ours, typed)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=stretched(5))[0]
    pytest.fail("it does not end")
