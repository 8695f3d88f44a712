"""Signs of life of real processes, by the probe that a supervisor runs."""

import os
import subprocess
import sys
import time

import pytest
from redis import Redis

from sandbox.machine import ROOT
from tests.deadlines import stretched

pytestmark = pytest.mark.acceptance

WORKERS = "{askonce:jobs:b00}:workers"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "health"


@pytest.fixture
def probe(folder):
    """Run the probe; return what it says of a process, which is nothing where all is well."""

    def run(sign):
        command = [sys.executable, "-m", "worker", "health", sign]
        env = {"HEALTH_FOLDER": str(folder), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=stretched(60)
        )
        assert bool(done.stderr) == bool(done.returncode)
        return done.stderr

    return run


def grow_old(folder):
    then = time.time() - 3600
    os.utime(folder / "live", (then, then))


def is_young(folder):
    return time.time() - (folder / "live").stat().st_mtime < 1000


@pytest.mark.long
@pytest.mark.redis_broker("its server is the one that is away")
def test_worker_is_live_while_its_broker_is_away_and_ready_until_it_ends(
    new_machine, folder, probe, eventually
):
    machine = new_machine(env={"HEALTH_FOLDER": str(folder)})
    assert "no sign of life" in probe("live")
    worker = machine.start_worker("-P", "threads", "-c", "2")
    eventually(lambda: not probe("ready"))

    machine.valkey.stop()
    # In a turn of its own the loop may still touch the sign: only later ones are of a lost broker.
    eventually(lambda: b"Connection to broker lost" in (machine.folder / "worker.log").read_bytes(), 30)
    for _ in range(2):
        grow_old(folder)
        eventually(lambda: is_young(folder), 60)
    away = probe("live")
    machine.valkey.start()
    grow_old(folder)
    eventually(lambda: is_young(folder), 60)
    worker.terminate()
    worker.wait(stretched(60))

    assert "" == away
    assert "takes no work: it starts, or ends\n" == probe("ready")


def test_worker_of_the_pool_solo_has_the_time_of_an_attempt(new_machine, folder):
    machine = new_machine(env={"HEALTH_FOLDER": str(folder), "LLM_TIMEOUT": "20"})

    machine.start_worker("-P", "solo")

    # The loop's own 30 s, and an attempt: two calls of 20 s.
    assert "70\n" == (folder / "live").read_text()


@pytest.mark.long
def test_loop_that_hangs_is_not_live_although_other_threads_go_on(
    new_machine, folder, probe, eventually, submit, new_order
):
    machine = new_machine(env={"HEALTH_FOLDER": str(folder)}, outside={"failure_rate": 0})
    machine.control(hold=True)
    # This pool runs its jobs in the loop.
    machine.start_worker("-P", "solo")
    assert 0 == submit(machine, "orders.enrich", [new_order()]).code
    assert machine.wait_for_held(1, stretched(30))
    grow_old(folder)

    with Redis.from_url(machine.valkey.url) as client:
        for _ in range(2):
            # A thread of the worker announces it every 5 s: the timer has had its turns.
            known = client.zrange(WORKERS, 0, -1, withscores=True)
            eventually(lambda known=known: known != client.zrange(WORKERS, 0, -1, withscores=True), 30)
    hanging = probe("live")
    machine.control(hold=False)

    assert "the loop hangs" in hanging
    eventually(lambda: not probe("live"), 30)


@pytest.mark.long
@pytest.mark.redis_broker("its server is the one that is away")
@pytest.mark.parametrize("broker_is_away", [False, True])
def test_beat_is_live_and_ready_also_while_its_broker_is_away(
    new_machine, folder, probe, eventually, tmp_path, broker_is_away
):
    (tmp_path / "orders.jsonl").write_text("")
    env = {"HEALTH_FOLDER": str(folder), "ORDERS_FILE": str(tmp_path / "orders.jsonl")}
    machine = new_machine(env=env)
    order = '{"order_id": "N", "cliente_id": 1}'
    entry = f'{{"often": {{"task": "orders.enrich", "schedule": 0.5, "kwargs": {order}}}}}'
    beat = machine.start_beat("--", f"beat.schedule=(dict){entry}")
    eventually(lambda: not probe("ready"))

    if broker_is_away:
        machine.valkey.stop()
    grow_old(folder)
    eventually(lambda: is_young(folder), 60)
    well = probe("live")
    beat.terminate()
    beat.wait(stretched(60))

    assert "" == well
    assert "takes no work: it starts, or ends\n" == probe("ready")


def test_metrics_are_live_and_ready_while_they_serve(idle_machine, start, folder, probe, eventually):
    words = ("-m", "worker", "metrics", "--serve", "127.0.0.1:0")
    running = start(idle_machine, *words, HEALTH_FOLDER=str(folder))
    eventually(lambda: not probe("ready"))

    grow_old(folder)
    eventually(lambda: is_young(folder), 60)
    running.process.terminate()
    code = running.finish().code

    assert 0 == code
    assert "takes no work: it starts, or ends\n" == probe("ready")


def test_folder_that_cannot_be_written_ends_a_worker_by_name(idle_machine, start, tmp_path):
    (tmp_path / "file").write_text("")
    bad = str(tmp_path / "file" / "health")

    told = start(idle_machine, "-m", "celery", "-A", "worker.app", "worker", HEALTH_FOLDER=bad).finish()

    assert 78 == told.code
    assert "bad configuration: HEALTH_FOLDER: cannot be written (Not a directory)" in told.complaints
    assert "Traceback" not in told.err
