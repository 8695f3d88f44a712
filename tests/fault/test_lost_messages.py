import json
import signal

import pytest

from askonce.record import Status
from tests.deadlines import stretched

pytestmark = pytest.mark.fault

QUEUE_DEADLINE = 2.0


@pytest.fixture
def scene(new_scene):
    return new_scene(JOB_QUEUE_DEADLINE=str(QUEUE_DEADLINE))


def lose_the_queue(scene):
    assert 3 == scene.queue.waiting()
    scene.queue.lose(3)


def lose_one_message(scene):
    scene.queue.lose(1)


def double_every_message(scene):
    scene.queue.put(scene.queue.messages() * 4)


@pytest.mark.parametrize(
    "fault",
    [
        lose_the_queue,
        pytest.param(lose_one_message, marks=pytest.mark.long),
        pytest.param(double_every_message, marks=pytest.mark.long),
    ],
)
def test_fault_of_delivery_neither_loses_a_job_nor_adds_a_call(scene, fault):
    keys = scene.submit("meetings.extract", scene.meetings(3))

    fault(scene)
    scene.machine.start_worker("-P", "threads", "-c", "4")
    scene.wait_until_done(keys, QUEUE_DEADLINE + scene.recovery)
    scene.eventually(scene.queue.is_settled, 10)

    assert 3 == scene.machine.ledger.openai.calls
    assert [1, 1, 1] == [scene.record(key).attempts for key in keys]


def test_message_seen_again_at_any_time_adds_no_call(scene):
    [key] = scene.submit("meetings.extract", scene.meetings(1))
    messages = scene.queue.messages()
    scene.machine.control(hold=True)
    scene.machine.start_worker("-P", "threads", "-c", "8")
    assert scene.machine.wait_for_held(1, stretched(30))

    scene.queue.put(messages * 5)
    scene.eventually(lambda: scene.log("worker").count("job.skipped") >= 5, 20)
    scene.let_go()
    scene.wait_until_done([key])
    scene.queue.put(messages * 5)
    scene.eventually(lambda: scene.log("worker").count("job.reused") >= 5, 20)
    scene.end_freshness(key)
    scene.queue.put(messages * 5)
    scene.eventually(lambda: scene.log("worker").count("job.reused") >= 10, 20)

    assert Status.STALE is scene.record(key).status
    assert 1 == scene.machine.ledger.openai.calls


def test_job_of_a_producer_killed_before_sending_costs_one_call(scene):
    scene.machine.start_worker("-P", "threads", "-c", "2")
    [meeting] = scene.meetings(1)

    code = scene.run_script("producer_that_dies.py", "meetings.extract", json.dumps(meeting))
    sent = scene.queue.waiting(), "job." in scene.log("worker")
    [key] = [key.decode()[-64:] for key in scene.client.keys("*:rec:*")]
    scene.wait_until_done([key], QUEUE_DEADLINE + scene.recovery)

    assert (-signal.SIGKILL, (0, False)) == (code, sent)
    assert 1 == scene.machine.ledger.openai.calls
    assert 1 == scene.log("worker").count("job.resent")


def test_broker_without_the_record_runs_the_job_once(scene):
    keys = scene.submit("meetings.extract", scene.meetings(2))
    scene.client.delete(*scene.client.keys("{askonce:*"))

    scene.machine.start_worker("-P", "threads", "-c", "2")
    scene.wait_until_done(keys, QUEUE_DEADLINE + scene.recovery)

    assert 2 == scene.machine.ledger.openai.calls
