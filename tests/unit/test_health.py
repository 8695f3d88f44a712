import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kombu.asynchronous.timer import Timer

from settings.environment import load
from worker import signs
from worker.__main__ import main
from worker.heartbeat import LIMIT, Heartbeat, new_heartbeat, trouble
from worker.signs import HeartbeatStep

ROOT = Path(__file__).parents[2]
#: Runs the probe as ``python -m worker`` does, and prints what it loaded beside Python's own modules.
PROBE = """
import sys, runpy
sys.argv = ["worker", "health", "ready"]
try:
    runpy.run_module("worker", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
print(sorted({name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names))
"""


@pytest.fixture
def heartbeat(tmp_path):
    return Heartbeat(tmp_path / "health")


def grow_old(folder, seconds=LIMIT + 5):
    then = time.time() - seconds
    os.utime(folder / "live", (then, then))


def test_process_that_takes_work_is_live_and_ready(heartbeat, tmp_path):
    heartbeat.ready()

    assert trouble(tmp_path / "health") is None
    assert trouble(tmp_path / "health", ready=True) is None


def test_process_that_starts_or_ends_is_live_and_not_ready(heartbeat, tmp_path):
    starting = trouble(tmp_path / "health", ready=True)
    heartbeat.ready()
    heartbeat.unready()

    assert "takes no work: it starts, or ends" == starting == trouble(tmp_path / "health", ready=True)
    assert trouble(tmp_path / "health") is None


def test_process_whose_loop_hangs_is_neither_until_it_goes_on(heartbeat, tmp_path):
    heartbeat.ready()
    grow_old(tmp_path / "health")

    hanging = [trouble(tmp_path / "health", ready=ready) for ready in (False, True)]
    heartbeat.beat()

    assert all(found.startswith("the last sign of life is 35 s old") for found in hanging)
    assert trouble(tmp_path / "health", ready=True) is None


def test_process_may_be_given_more_time(tmp_path):
    Heartbeat(tmp_path, limit=100)
    grow_old(tmp_path, 90)

    assert trouble(tmp_path) is None


def test_new_process_is_not_ready_by_the_file_of_the_one_before(heartbeat, tmp_path):
    heartbeat.ready()

    Heartbeat(tmp_path / "health")

    assert trouble(tmp_path / "health", ready=True) is not None


def test_folder_without_a_process_has_no_sign_of_life(tmp_path):
    (tmp_path / "live").write_text("")

    assert trouble(tmp_path / "none").startswith("no sign of life in ")
    assert trouble(tmp_path).startswith("no sign of life in ")


def test_full_disk_ends_no_worker_and_fails_the_probe(heartbeat, tmp_path):
    (tmp_path / "health" / "live").unlink()

    heartbeat.beat()

    assert trouble(tmp_path / "health") is not None


@pytest.mark.parametrize("words", [[], ["health"], ["health", "well"], ["health", "live", "ready"], ["x"]])
def test_wrong_words_get_the_usage(words, capsys):
    assert 2 == main(words)
    assert capsys.readouterr().err.startswith("usage: python -m worker ")


@pytest.mark.parametrize("folder", [None, ""])
def test_probe_without_a_folder_names_the_variable(folder, monkeypatch, capsys):
    monkeypatch.delenv("HEALTH_FOLDER", raising=False)
    if folder is not None:
        monkeypatch.setenv("HEALTH_FOLDER", folder)

    assert os.EX_CONFIG == main(["health", "live"])
    assert capsys.readouterr().err.startswith("bad configuration: HEALTH_FOLDER: ")


def test_probe_prints_why_a_process_is_unhealthy(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HEALTH_FOLDER", str(tmp_path))

    assert 1 == main(["health", "live"])
    assert capsys.readouterr().err == f"no sign of life in {tmp_path}: No such file or directory\n"


def test_probe_loads_nothing_but_python(heartbeat, tmp_path):
    heartbeat.ready()
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}){PROBE}"]

    loaded = subprocess.check_output(
        command, env={"HEALTH_FOLDER": str(tmp_path / "health")}, text=True, timeout=60
    )

    assert "['__main__', 'worker']\n" == loaded


class Consumer:
    """What the step uses of Celery's consumer."""

    def __init__(self):
        self.timer, self.pool = Timer(), None
        self.ensure_connected = lambda connection: connection.ensure_connection(None, 9, callback=list)


class Connection:
    """A broker that does not answer at first."""

    def __init__(self, beats):
        self._beats, self.signs = beats, []

    def ensure_connection(self, _errback, _retries, callback):
        for _ in range(3):
            self.signs.append(self._beats())
            callback()
        return self


@pytest.fixture
def step(monkeypatch, heartbeat):
    monkeypatch.setattr(signs, "new_heartbeat", lambda **_: heartbeat)
    consumer = Consumer()
    return HeartbeatStep(consumer), consumer


def test_only_the_timer_of_the_loop_touches_the_sign(step, tmp_path):
    (step, consumer), folder = step, tmp_path / "health"
    step.start(consumer)
    grow_old(folder)

    hanging = trouble(folder)
    [entry] = consumer.timer.queue
    entry.entry()

    assert "loop hangs" in hanging
    assert trouble(folder) is None


def test_connection_that_is_lost_takes_its_timer_along(step):
    step, consumer = step
    step.start(consumer)
    [entry] = consumer.timer.queue

    step.stop(consumer)

    assert entry.entry.canceled


def test_each_try_to_reach_a_broker_that_is_away_is_a_sign_of_life(step, tmp_path):
    (_, consumer), folder = step, tmp_path / "health"

    def beats():
        found = trouble(folder)
        grow_old(folder)
        return found

    connection = Connection(beats)
    grow_old(folder)

    consumer.ensure_connected(connection)

    assert [None, None, None] == connection.signs
    assert trouble(folder) is None


def test_folder_that_cannot_be_written_ends_the_process_by_name(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEALTH_FOLDER", str(tmp_path / "file" / "x"))
    load.cache_clear()

    with pytest.raises(SystemExit) as end:
        new_heartbeat()

    assert os.EX_CONFIG == end.value.code
    assert capsys.readouterr().err.startswith("bad configuration: HEALTH_FOLDER: cannot be written")
    load.cache_clear()
