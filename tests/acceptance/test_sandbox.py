import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sandbox.machine import ROOT
from sandbox.outside import ledger
from tests.deadlines import stretched
from tests.slots_by_hand import ends, schedules_of, start_slot

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

PARTS = ("valkey", "stand_in", "worker.app worker", "worker.app beat", "flower")


@pytest.fixture
def short_folder():
    """A place for what a killed sandbox cannot delete; short, for a socket's path is."""
    folder = tempfile.mkdtemp(prefix="up-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start_up(short_folder, eventually):
    """Start `python -m sandbox up`; return when it said that all is running, with its descendants."""
    said, started = Path(short_folder) / "said", []

    def start():
        with said.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "sandbox", "up", "--folder", f"{short_folder}/data"],
                cwd=ROOT,
                # It flushes what it says by itself.
                env={**os.environ, "TMPDIR": short_folder, "PYTHONUNBUFFERED": ""},
                stdout=out,
                stderr=out,
            )
        started.append(process)
        eventually(lambda: process.poll() is not None or b"Ctrl-C stops everything." in said.read_bytes(), 60)
        return process, descendants_of(process.pid), said

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(stretched(60))


@pytest.fixture
def up(start_up):
    return start_up()


@pytest.mark.long
def test_demo_keeps_its_promises():
    command = [sys.executable, "-m", "sandbox", "demo"]

    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=stretched(150), check=False
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "with SIGKILL during its call." in done.stdout
    assert "BROKEN" not in done.stdout
    assert ["lost", "0"] in [line.split() for line in done.stdout.splitlines()]


def test_up_stops_everything_on_ctrl_c(up, short_folder, eventually):
    process, started, said = up

    process.send_signal(signal.SIGINT)
    code = process.wait(stretched(60))

    assert 0 == code, said.read_text()
    assert_all_parts_ran(started)
    eventually(lambda: not alive(started), 15)
    assert ["data", said.name] == sorted(path.name for path in Path(short_folder).iterdir())


def test_up_says_in_one_line_which_part_cannot_start(short_folder):
    manifest = Path(short_folder) / "data/valkey/appendonlydir/appendonly.aof.manifest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("garbage")

    done = run_up(short_folder)

    assert 1 == done.returncode
    assert done.stderr.startswith("Valkey did not start: ")
    assert "--fresh" in done.stderr
    assert 1 == done.stderr.count("\n")


@pytest.mark.long
def test_up_goes_on_with_the_data_of_the_last_one(start_up, short_folder):
    process, _, said = start_up()
    first = said.read_text()
    asked = submit_orders(first)
    process.send_signal(signal.SIGINT)
    process.wait(stretched(60))
    paid = ledger.read(Path(short_folder) / "data/ledger").customers.answered

    start_up()
    logged = (Path(short_folder) / "data/worker.log").read_text()
    again = submit_orders(said.read_text())
    refused = run_up(short_folder, "--fresh")

    assert first.startswith(f"data and logs are in {Path(short_folder).resolve()}/data\nstarting Valkey\n")
    assert 2 == logged.count("ready.")
    assert exports(first) == exports(said.read_text())
    assert {"call", "cache"} >= {report["source"] for report in asked}
    assert {"cache"} == {report["source"] for report in again}
    assert (paid, True) == (ledger.read(Path(short_folder) / "data/ledger").customers.answered, paid > 0)
    assert (1, "") == (refused.returncode, refused.stdout)
    assert 1 == refused.stderr.count("\n")
    assert "runs a sandbox there" in refused.stderr


@pytest.mark.long
def test_up_leaves_no_process_behind_when_it_is_killed(up, eventually):
    process, started, _ = up

    process.kill()
    process.wait(stretched(10))

    assert_all_parts_ran(started)
    eventually(lambda: not alive(started), 45)


def test_scheduled_orders_are_looked_up_once_by_slots_and_a_person(new_machine, tmp_path, eventually):
    orders = tmp_path / "orders.jsonl"
    rows = ({"order_id": f"N-{number}", "cliente_id": number % 5 + 1} for number in range(20))
    orders.write_text("".join(f"{json.dumps(row)}\n" for row in rows) + '{"order_id": "N-20"}\n')
    machine = new_machine(outside={"failure_rate": 0}, env={"ORDERS_FILE": str(orders)})
    machine.start_worker("-P", "threads", "-c", "32")
    machine.start_beat()
    with schedules_of(machine) as schedules:
        for number in (1, 2):
            eventually(lambda: start_slot(machine) == 0, 60)
            ended = eventually(lambda number=number: ends(schedules)[number - 1 :] and ends(schedules), 60)
            assert ("done", 20, 1) == (ended[0][0], ended[0][1]["asked"] - 1, ended[0][1]["invalid"])

    assert (5, 0) == (machine.ledger.customers.answered, machine.ledger.customers.surplus)
    refused = [
        line
        for line in (machine.folder / "worker.log").read_text().splitlines()
        if "schedule.refused" in line
    ]
    assert all("row 21" in line and "cliente_id" in line for line in refused), refused
    assert 2 == len(refused)


def run_up(short_folder, *options):
    """`python -m sandbox up` where it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "sandbox", "up", "--folder", f"{short_folder}/data", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=stretched(60),
        check=False,
    )


def submit_orders(said):
    """Paste the line with the servers, as a person does; return the reports of the orders."""
    command = [sys.executable, "-m", "producer", "submit", "orders.enrich", "sandbox/samples/orders.jsonl"]
    done = subprocess.run(
        [*command, "--wait", "--json"],
        cwd=ROOT,
        env={**os.environ, "ENV_FILE": "", **exports(said)},
        capture_output=True,
        text=True,
        timeout=stretched(60),
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def exports(said):
    [line] = re.findall(r"^  export (.+)$", said, re.MULTILINE)
    return dict(word.split("=", 1) for word in shlex.split(line))


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
