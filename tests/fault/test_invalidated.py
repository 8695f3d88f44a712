import pytest

from askonce.store import Write
from tests.deadlines import stretched

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_answer_of_a_run_that_was_invalidated_is_not_published(scene, pool):
    scene.machine.start_worker("-P", pool, "-c", "1")
    scene.machine.control(hold=True)
    [meeting] = scene.meetings(1)
    [key] = scene.submit("meetings.extract", [meeting])
    assert scene.machine.wait_for_held(1, stretched(30))

    assert Write.OK is scene.store.invalidate(key)
    scene.let_go()
    scene.eventually(lambda: "job.fenced" in scene.log("worker"), 30)
    after = scene.record(key)
    scene.submit("meetings.extract", [meeting])
    scene.wait_until_done([key])

    assert ("idle", None, None) == (after.flight, after.value, after.failure)
    assert after.fence < scene.record(key).value.fence
    assert 2 == scene.machine.ledger.openai.calls
