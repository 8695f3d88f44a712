import os
import signal

import pytest

pytestmark = [pytest.mark.fault, pytest.mark.long]


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_answer_of_a_process_stalled_past_its_lease_is_fenced(scene, stopped, pool):
    scene.machine.start_worker("-P", pool, "-c", "1", name="stalled")
    [key] = scene.hold_meetings(1)
    scene.machine.start_worker("-P", pool, "-c", "1", name="other")

    with stopped(scene.pid_of(key)):
        scene.let_go()
        scene.wait_until_done([key], scene.recovery)
        visible = scene.record(key)
    scene.eventually(lambda: "job.fenced" in scene.log("stalled"), 15)

    assert 2 == scene.machine.ledger.openai.answered
    assert visible.value.data == scene.record(key).value.data
    assert visible.value.fence == scene.record(key).value.fence
    assert 1 == scene.log("other").count("outcome=done")
    assert 0 == scene.log("stalled").count("outcome=done")


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_answer_of_a_stalled_process_counts_without_a_takeover(new_scene, stopped, pool):
    # Nobody else works, so the job waits for the one that was stalled.
    scene = new_scene(JOB_LEASE="1")
    scene.machine.start_worker("-P", pool, "-c", "1", name="stalled")
    [key] = scene.hold_meetings(1)

    with stopped(scene.pid_of(key)):
        scene.let_go()
        scene.eventually(lambda: is_over(scene.record(key)), 10)
    scene.wait_until_done([key])

    scene.eventually(scene.queue.is_settled, 15)

    assert (1, 1) == (scene.machine.ledger.openai.answered, scene.record(key).attempts)
    assert "job.fenced" not in scene.log("stalled")


def is_over(record):
    return record.flight == "queued" or record.deadline_in <= 0


def test_process_stalled_before_its_call_gives_the_job_back(new_scene, tmp_path):
    mark = tmp_path / "stopped"
    scene = new_scene(TAMPERED_DEATH="after start", TAMPERED_MARK=str(mark), TAMPERED_STOPS="yes")
    scene.machine.start_worker("-P", "prefork", "-c", "1", "-I", "tests.fault.tampered", name="stalled")
    [key] = scene.submit("meetings.extract", scene.meetings(1))
    scene.eventually(mark.exists, 15)
    stalled = scene.pid_of(key)
    scene.machine.start_worker("-P", "prefork", "-c", "1", name="other")
    scene.wait_until_done([key], scene.recovery)

    os.kill(stalled, signal.SIGCONT)
    scene.eventually(lambda: "job.skipped" in scene.log("stalled"), 15)

    assert (1, 0) == (scene.machine.ledger.openai.answered, scene.machine.ledger.openai.undelivered)
    assert 1 == scene.log("other").count("outcome=done")
    assert "job.fenced" not in scene.log("stalled")
