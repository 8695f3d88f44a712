"""What becomes of a call that is under way when an operator cancels its job: it is the job's last."""

import os

import pytest

pytestmark = [pytest.mark.fault, pytest.mark.long]

THREADS = ("-P", "threads", "-c", "2")


@pytest.fixture
def cancelled(scene):
    """Start a worker, and cancel a job while its call is under way; return the key."""

    def begin():
        worker = scene.machine.start_worker(*THREADS, name="first")
        [key] = scene.hold_meetings(1)
        assert os.EX_OK == scene.run_python("-m", "producer", "cancel", key)
        assert scene.record(key).is_cancelled
        return worker, key

    return begin


@pytest.fixture
def assert_ended(scene):
    """Assert that the job ends as cancelled, after its one call."""

    def check(key):
        scene.eventually(lambda: scene.record(key).flight != "running", scene.recovery)
        record = scene.record(key)
        assert ("idle", "cancelled") == (record.flight, record.failure.kind)
        assert 1 == scene.machine.ledger.openai.calls

    return check


@pytest.mark.parametrize("trouble", ["llm_error_rate", "llm_failure_rate"])
def test_call_that_fails_for_now_after_a_cancel_is_not_made_again(scene, cancelled, assert_ended, trouble):
    _, key = cancelled()

    scene.machine.control(**{trouble: 1.0, "hold": False})

    assert_ended(key)


def test_call_of_a_worker_that_is_killed_after_a_cancel_is_not_made_again(
    scene, cancelled, assert_ended, kill_group
):
    first, key = cancelled()
    scene.machine.start_worker(*THREADS, name="second")

    kill_group(first)

    assert_ended(key)


def test_call_that_is_answered_after_a_cancel_is_kept(scene, cancelled):
    _, key = cancelled()

    scene.let_go()

    scene.wait_until_done([key])
    assert 1 == scene.machine.ledger.openai.calls
