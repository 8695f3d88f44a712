"""What the command line of a worker may say: honoured, or refused by name before the worker takes a job."""

import os
import signal
from contextlib import suppress

import pytest

from sandbox.machine import wait_for

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

CELERY = ("-m", "celery", "-A", "worker.app")
QUIET = ("--without-gossip", "--without-mingle")
FIXED = "error: worker: this pool cannot honour {}; use -P prefork, or leave it out"
REFUSED = {
    "-P threads --autoscale 4,1": FIXED.format("--autoscale"),
    "-P solo --autoscale 4,1": FIXED.format("--autoscale"),
    "--time-limit 90 --soft-time-limit 80": FIXED.format("--time-limit --soft-time-limit"),
    "-P prefork --soft-time-limit 90 --time-limit 90": (
        "error: times: task_soft_time_limit (90 s) does not end before task_time_limit (90 s); "
        "raise task_time_limit"
    ),
    "-P prefork --soft-time-limit 50": (
        "error: times: the longest call (55 s) does not end before task_soft_time_limit (50 s); "
        "raise task_soft_time_limit"
    ),
}
#: How workers leave the terminal, and their names.
WAYS = {"worker --detach -n alone@%h": ["alone"], "multi start one two": ["one", "two"]}


@pytest.mark.parametrize("options", REFUSED)
def test_worker_refuses_an_option_that_its_pool_cannot_honour(idle_machine, start, options):
    command = (*CELERY, "worker", *QUIET, *options.split())

    told = start(idle_machine, *command, CUSTOMER_API_TIMEOUT="55").finish()

    assert 78 == told.code
    assert [REFUSED[options]] == [line for line in told.complaints if line.startswith("error: ")]
    assert "Traceback" not in told.err


def test_prefork_worker_honours_autoscale_and_limits(new_machine, submit, new_order):
    machine = new_machine(outside={"failure_rate": 0})
    machine.start_worker(
        "-P", "prefork", "--autoscale", "2,1", "--soft-time-limit", "80", "--time-limit", "90"
    )

    assert 0 == submit(machine, "orders.enrich", [new_order()], "--wait").code


@pytest.fixture
def detached(eventually):
    """Note a folder whose process ids name workers that are nobody's children; they end with the test."""
    folders, pids = [], []
    yield folders.append
    for path in (path for folder in folders for path in folder.glob("*.pid")):
        with suppress(FileNotFoundError):  # it has ended
            pids.append(int(path.read_text()))
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in filter(_lives, pids):
            os.kill(pid, number)
        with suppress(pytest.fail.Exception):
            eventually(lambda: not any(map(_lives, pids)), 30)


@pytest.fixture(params=["threads", "prefork"])
def pool(request):
    return ("-P", request.param, "-c", "2", "-l", "INFO")


def test_log_file_has_the_lines_of_the_worker_and_its_jobs(new_machine, submit, new_order, pool):
    machine = new_machine(outside={"failure_rate": 0})
    files, said = (*CELERY, "worker", *QUIET, *pool, "-n", "own@%h"), machine.folder / "said"
    own = machine.folder / "own.txt"
    worker = machine.spawn(*files, f"--logfile={machine.folder}/%n%I.txt", log=said)
    machine.workers.append(worker)
    wait_for(lambda: own.exists() and "ready." in own.read_text(), worker, said)

    assert 0 == submit(machine, "orders.enrich", [new_order()], "--wait").code
    machine.stop_workers()

    # Each child of prefork has a file of its own.
    done = "job.done task=orders.enrich"
    counts = {path.name: path.read_text().count(done) for path in machine.folder.glob("own*.txt")}
    assert {"threads": [1], "prefork": [0, 0, 1]}[pool[1]] == sorted(counts.values())
    assert {"threads": 1, "prefork": 0}[pool[1]] == counts["own.txt"]
    assert "INFO" not in said.read_text()


@pytest.mark.parametrize("way", WAYS)
def test_detached_workers_log_to_their_files(
    new_machine, start, submit, new_order, eventually, detached, pool, way
):
    machine = new_machine(outside={"failure_rate": 0})
    folder = machine.folder / "own"
    folder.mkdir()
    detached(folder)

    places = (f"--logfile={folder}/%n.txt", f"--pidfile={folder}/%n.pid")
    told = start(machine, *CELERY, *way.split(), *QUIET, *pool, *places).finish()
    logs = [folder / f"{node}.txt" for node in WAYS[way]]
    eventually(lambda: all(log.exists() and "ready." in log.read_text() for log in logs), 60)
    answered = submit(machine, "orders.enrich", [new_order()], "--wait")

    assert (0, 0) == (told.code, answered.code)
    eventually(lambda: "job.done" in "".join(log.read_text() for log in logs))


def test_detached_worker_that_is_refused_logs_why(new_machine, start, eventually, detached):
    machine = new_machine(outside={"failure_rate": 0})
    folder = machine.folder / "own"
    folder.mkdir()
    detached(folder)

    places = (f"--logfile={folder}/w.txt", f"--pidfile={folder}/w.pid")
    start(machine, *CELERY, "worker", *QUIET, "--autoscale", "3,1", "--detach", *places).finish()

    eventually(lambda: (folder / "w.txt").exists() and (folder / "w.txt").read_text(), 60)
    [line] = (folder / "w.txt").read_text().splitlines()
    assert line.endswith(f"start: {FIXED.format('--autoscale').removeprefix('error: ')}")


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
