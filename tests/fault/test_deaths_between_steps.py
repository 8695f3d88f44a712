"""Processes that die between two steps, where only a moment lies between them."""

import json

import pytest

from tests.deadlines import stretched

pytestmark = [
    pytest.mark.fault,
    pytest.mark.redis_broker("tampers with what Redis keeps of messages"),
    pytest.mark.long,
]

TAMPERED = ("-I", "tests.fault.tampered")
PREFORK = ("-P", "prefork", "-c", "1")
THREADS = ("-P", "threads", "-c", "1")


@pytest.fixture
def deadly_scene(new_scene, tmp_path):
    """Start a scene whose tampered workers die once at the place that is named."""

    def begin(death, **environment):
        return new_scene(TAMPERED_DEATH=death, TAMPERED_MARK=str(tmp_path / "died"), **environment)

    yield begin
    assert (tmp_path / "died").exists(), "nobody died"


@pytest.mark.parametrize(
    ("death", "calls", "attempts"),
    [
        ("after start", 1, 2),
        ("before store", 2, 2),
        ("after store", 1, 1),
    ],
)
def test_job_of_a_process_dying_between_steps_has_one_answer(deadly_scene, death, calls, attempts):
    scene = deadly_scene(death)
    scene.machine.start_worker(*PREFORK, *TAMPERED)
    [key] = scene.submit("meetings.extract", scene.meetings(1))

    scene.wait_until_done([key], scene.recovery)
    first = scene.record(key).value.fence
    scene.wait_until_quiet()

    assert (calls, 0) == (scene.machine.ledger.openai.answered, scene.machine.ledger.openai.undelivered)
    assert (attempts, first) == (scene.record(key).attempts, scene.record(key).value.fence)


@pytest.mark.parametrize(
    ("death", "transport"),
    [("before kombu-note", "redis"), ("before our-note", "askonce.adapters.kombu.redis:Transport")],
    ids=["kombu", "ours"],
)
def test_job_of_a_message_lost_before_its_note_costs_one_call(deadly_scene, death, transport):
    conf = json.dumps({"broker_transport": transport})
    scene = deadly_scene(death, JOB_QUEUE_DEADLINE="2", TAMPERED_CONF=conf)
    worker = scene.machine.start_worker(*THREADS, *TAMPERED)
    [key] = scene.submit("meetings.extract", scene.meetings(1))

    assert 9 == worker.wait(stretched(30))
    lost = scene.client.llen("{jobs}:askonce"), scene.client.hlen("{jobs}:unacked")
    scene.machine.start_worker(*THREADS, name="second")
    scene.wait_until_done([key], 2 + scene.recovery)

    assert (0, 0) == lost
    assert (1, 1) == (scene.machine.ledger.openai.calls, scene.record(key).attempts)
    assert 1 == scene.log("second").count("job.resent")
