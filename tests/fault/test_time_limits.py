import json

import pytest

from tests.deadlines import stretched

pytestmark = pytest.mark.fault

PREFORK = ("-P", "prefork", "-c", "1", "-I", "tests.fault.tampered")


@pytest.fixture
def limit():
    """Seconds in which a worker gets into its call; the pool looks at its clock once a second."""
    return round(stretched(2))


@pytest.fixture
def soft(limit):
    return json.dumps({"task_soft_time_limit": limit})


@pytest.fixture
def hard(limit):
    return json.dumps({"task_soft_time_limit": None, "task_time_limit": limit})


@pytest.mark.long
def test_call_past_its_soft_limit_is_made_again(new_scene, soft, limit):
    # No lease ends within this test.
    scene = new_scene(JOB_LEASE="300", TAMPERED_CONF=soft)
    scene.machine.start_worker(*PREFORK)
    [key] = scene.hold_meetings(1)

    scene.eventually(lambda: "job.deferred" in scene.log("worker"), 30 + limit)
    scene.let_go()
    scene.wait_until_done([key])

    record, calls = scene.record(key), scene.machine.ledger.openai
    assert record.attempts == 1 + scene.log("worker").count("job.deferred")
    assert (record.attempts, 1) == (calls.calls, len(calls.by_content))


@pytest.mark.long
def test_stale_answer_stays_when_its_refresh_is_past_its_limit(new_scene, soft, limit):
    scene = new_scene(JOB_LEASE="300", TAMPERED_CONF=soft)
    scene.machine.start_worker(*PREFORK)
    [meeting] = scene.meetings(1)
    [key] = scene.submit("meetings.extract", [meeting])
    scene.wait_until_done([key])
    before = scene.record(key).value
    scene.end_freshness(key)
    scene.machine.control(hold=True)
    scene.submit("meetings.extract", [meeting])

    scene.eventually(lambda: "job.deferred" in scene.log("worker"), 30 + limit)
    kept = scene.record(key)
    scene.let_go()
    scene.wait_until_done([key])

    assert (before.data, before.fence, False) == (kept.value.data, kept.value.fence, kept.value.fresh)
    assert before.fence < scene.record(key).value.fence


@pytest.mark.long
def test_call_past_its_hard_limit_is_quarantined_after_three(new_scene, hard, limit):
    scene = new_scene(JOB_LEASE="1", REAP_INTERVAL="0.5", TAMPERED_CONF=hard)
    scene.machine.start_worker(*PREFORK, "--soft-time-limit", "0")
    [key] = scene.hold_meetings(1)

    scene.eventually(lambda: is_quarantined(scene.record(key)), 30 * limit)
    scene.let_go()
    [next_key] = scene.submit("meetings.extract", scene.meetings(1))
    scene.wait_until_done([next_key])

    record, calls = scene.record(key), scene.machine.ledger.openai
    # A process gives its lease back, unless it is killed too fast for that.
    assert record.failure.reason in ("SystemExit", "attempts_spent")
    assert (3, None) == (record.attempts, record.value)
    # On a slow machine a limit may end a process before its call.
    assert 3 >= max(calls.by_content.values())


def is_quarantined(record):
    return record.failure is not None and record.failure.kind == "quarantined"
