import pytest

pytestmark = [
    pytest.mark.fault,
    pytest.mark.redis_broker("tampers with what Redis keeps of messages"),
    pytest.mark.long,
]


def test_full_server_refuses_new_jobs_and_keeps_the_old_ones(scene):
    keys = scene.submit("meetings.extract", scene.meetings(2))
    scene.client.config_set("maxmemory", "1")

    refused, _ = scene.ask("meetings.extract", scene.meetings(1))
    scene.client.config_set("maxmemory", "0")
    scene.machine.start_worker("-P", "threads", "-c", "2")
    scene.wait_until_done(keys)

    assert 69 == refused
    assert 2 == scene.machine.ledger.openai.calls


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_worker_that_meets_a_full_server_loses_no_job(new_scene, pool):
    scene = new_scene(JOB_QUEUE_DEADLINE="2")
    scene.machine.start_worker("-P", pool, "-c", "2")
    running = scene.hold_meetings(2)
    queued = scene.submit("meetings.extract", scene.meetings(2))

    scene.client.config_set("maxmemory", "1")
    scene.let_go()
    scene.eventually(lambda: "OOM" in scene.log() or "oom" in scene.log(), 30)
    scene.client.config_set("maxmemory", "0")

    scene.wait_until_done([*running, *queued], 60)
    assert 4 == scene.machine.ledger.openai.calls
