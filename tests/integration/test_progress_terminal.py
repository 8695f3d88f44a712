import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.deadlines import stretched

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
#: A run of one row each time that a line comes in. Its rows go to stdout, its display to stderr.
RUN = """
import sys
from producer.progress.counts import Counts
from producer.progress.reporter import new_progress
counts = Counts(total=3)
with new_progress(sys.stderr) as progress:
    progress.start("orders.enrich", ["orders.csv"])
    progress.update(counts)
    for line in sys.stdin:
        counts.end("done", source="call")
        print("row", flush=True)
        progress.note("note of " + line.strip())
        print("stray of " + line.strip(), file=sys.stderr, flush=True)
    progress.finish(["the summary"])
"""


@pytest.fixture
def terminal():
    """A terminal of 60 columns: the end for people, and the end for a process."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    yield ours, its
    os.close(ours)


def read_until(ours, seen, *wanted):
    while not all(each in seen for each in wanted):
        seen += os.read(ours, 65536)
    return seen


@pytest.mark.timeout(60)
def test_run_is_drawn_on_a_real_terminal(terminal):
    ours, its = terminal
    env = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=its,
        text=True,
    )
    os.close(its)
    assert process.stdin

    seen = read_until(ours, b"", b"0 of 3 rows")
    process.stdin.write("line 1\n")
    process.stdin.flush()
    seen = read_until(ours, seen, b"1 of 3 rows", b"note of line 1", b"stray of line 1")
    stdout, _ = process.communicate(timeout=stretched(30))
    seen = read_until(ours, seen, b"the summary\r\n")

    assert (0, "row\n") == (process.returncode, stdout)
    # The cursor is shown again at once: a run that is killed leaves it.
    assert seen.startswith(b"orders.enrich: reading orders.csv\r\n\x1b[?25l\x1b[?25h")
    # Each drawing is erased before the next line; the last one too.
    assert b"\x1b[2Kstray of line 1\r\n" in seen
    last = seen[seen.rindex(b"of 3 rows") :]
    assert last.count(b"\x1b[1A\x1b[2K") >= 2
    assert seen.endswith(b"\x1b[2Kthe summary\r\n")
