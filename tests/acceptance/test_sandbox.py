import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sandbox.machine import ROOT
from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

PARTS = ("valkey", "stand_in", "worker.app worker", "flower")


@pytest.fixture
def short_folder():
    """A place for what a killed sandbox cannot delete; short, for a socket's path is."""
    folder = tempfile.mkdtemp(prefix="up-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def up(short_folder, eventually):
    """`python -m sandbox up`, once it said that all is running; and its descendants."""
    said = Path(short_folder) / "said"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "up"],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": short_folder, "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=out,
        )
    try:
        eventually(lambda: process.poll() is not None or b"Ctrl-C stops everything." in said.read_bytes(), 60)
        yield process, descendants_of(process.pid), said
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(stretched(60))


def test_demo_keeps_its_promises():
    command = [sys.executable, "-m", "sandbox", "demo"]

    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=stretched(150), check=False
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "with SIGKILL in the middle of its call." in done.stdout
    assert "BROKEN" not in done.stdout
    assert ["lost", "0"] in [line.split() for line in done.stdout.splitlines()]


def test_up_stops_everything_on_ctrl_c(up, short_folder, eventually):
    process, started, said = up

    process.send_signal(signal.SIGINT)
    code = process.wait(stretched(60))

    assert 0 == code, said.read_text()
    assert_all_parts_ran(started)
    eventually(lambda: not alive(started), 15)
    assert [said.name] == [path.name for path in Path(short_folder).iterdir()]


def test_up_leaves_no_process_behind_when_it_is_killed(up, eventually):
    process, started, _ = up

    process.kill()
    process.wait(stretched(10))

    assert_all_parts_ran(started)
    eventually(lambda: not alive(started), 45)


def assert_all_parts_ran(started):
    commands = list(started.values())
    missing = [part for part in PARTS if not any(part in command for command in commands)]
    assert [] == missing, commands


def descendants_of(pid):
    """Process ids and commands of everything that *pid* started, directly or not."""
    parents = {child: (parent, command) for child, parent, command in processes()}
    found = {}
    for child, (_, command) in parents.items():
        above = child
        while above in parents and above != pid:
            above = parents[above][0]
        if above == pid != child:
            found[child] = command
    return found


def alive(started):
    """Which of the processes still run; one that has ended but is not yet buried does not."""
    return {child for child, _, command in processes() if started.get(child) == command}


def processes():
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    for line in listed.stdout.splitlines():
        pid, parent, command = line.split(None, 2)
        yield int(pid), int(parent), command
