import json

import pytest

from tests.deadlines import stretched

pytestmark = pytest.mark.fault

#: The last one is that of `celeryconfig.py`.
POOLS = {
    "prefork": ("-P", "prefork", "-c", "2"),
    "threads": ("-P", "threads", "-c", "2"),
    "own": ("-c", "2"),
}


def shut_down_softly(new_scene, pool, grace):
    """Ask a worker, as an orchestrator would, to end in *grace* seconds while it is in a call."""
    conf = json.dumps({"worker_soft_shutdown_timeout": grace})
    scene = new_scene(REMAP_SIGTERM="SIGQUIT", TAMPERED_CONF=conf)
    worker = scene.machine.start_worker(*POOLS[pool], "-I", "tests.fault.tampered", name="first")
    [key] = scene.hold_meetings(1)
    scene.machine.start_worker(*POOLS[pool], name="second")
    worker.terminate()
    scene.eventually(lambda: "Initiating Soft Shutdown" in scene.log("first"), 15)
    return scene, worker, key


@pytest.mark.parametrize(
    "pool", ["prefork", *(pytest.param(pool, marks=pytest.mark.long) for pool in ("threads", "own"))]
)
def test_call_that_ends_within_the_grace_of_its_worker_is_made_once(new_scene, pool):
    scene, worker, key = shut_down_softly(new_scene, pool, grace=5)

    scene.let_go()
    scene.wait_until_done([key])
    worker.wait(stretched(30))

    calls = scene.machine.ledger.openai
    assert (1, 0, 1) == (calls.calls, calls.undelivered, scene.record(key).attempts)
    assert "Traceback" not in scene.log("first")
    assert 0 == scene.log("second").count("outcome=done")


@pytest.mark.long
def test_call_past_its_process_grace_is_made_by_another(new_scene):
    scene, worker, key = shut_down_softly(new_scene, "prefork", grace=1)

    worker.wait(stretched(30))
    assert scene.machine.wait_for_held(2, stretched(30))
    scene.let_go()
    scene.wait_until_done([key])

    calls = scene.machine.ledger.openai
    assert (2, 2) == (calls.calls, scene.record(key).attempts)
    scene.eventually(lambda: 1 == scene.log("second").count("outcome=done"))


@pytest.mark.long
def test_call_past_its_threads_grace_is_leased_until_the_kill(new_scene, kill):
    scene, worker, key = shut_down_softly(new_scene, "threads", grace=1)
    assert scene.watch_renewals(key, 4) >= 4, "longer than the grace and a lease: it was renewed all the time"

    kill(worker.pid)
    assert scene.machine.wait_for_held(2, stretched(30))
    scene.let_go()
    scene.wait_until_done([key])

    assert (2, 2) == (scene.machine.ledger.openai.calls, scene.record(key).attempts)


@pytest.mark.long
def test_call_past_its_threads_grace_is_made_once_without_a_kill(new_scene):
    scene, worker, key = shut_down_softly(new_scene, "own", grace=1)
    assert scene.watch_renewals(key, 4) >= 4, "longer than the grace and a lease: it was renewed all the time"

    scene.let_go()
    worker.wait(stretched(30))
    scene.wait_until_done([key])

    calls = scene.machine.ledger.openai
    assert (1, 0, 1) == (calls.calls, calls.undelivered, scene.record(key).attempts)
    assert "Traceback" not in scene.log("first")
    assert "a call in a thread goes on" in scene.log("first")
