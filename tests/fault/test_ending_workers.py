"""A worker is asked to end while a job waits for its turn to call the model."""

import pytest

pytestmark = pytest.mark.fault


def test_job_that_waits_in_a_child_is_given_back_when_its_worker_ends(new_scene):
    # A call a minute; by itself the second one waits for it.
    scene = new_scene(LLM_MAX_REQUESTS_PER_MINUTE="1", TAMPERED_PATIENCE="600")
    worker = scene.machine.start_worker("-P", "prefork", "-c", "1", "-I", "tests.fault.tampered")
    [first] = scene.submit("meetings.extract", scene.meetings(1))
    scene.wait_until_done([first])
    [second] = scene.submit("meetings.extract", scene.meetings(1))
    scene.eventually(lambda: scene.record(second).owner, 15)

    worker.terminate()
    scene.eventually(lambda: worker.poll() is not None, 15)

    record = scene.record(second)
    assert (1, 0) == (scene.machine.ledger.openai.calls, record.attempts)
    assert "waiting_for_turn" == record.parked.reason
