import pytest

pytestmark = pytest.mark.fault

THREADS = ("-P", "threads", "-c", "4")


def test_old_and_new_workers_share_a_queue_and_no_answer_crosses_over(new_scene):
    scene = new_scene(OPENAI_MODEL="model-1")
    old = scene.machine.start_worker(*THREADS, name="old")
    scene.machine.control(hold=True)
    [meeting] = scene.meetings(1)
    [old_key] = scene.submit("meetings.extract", [meeting])
    assert scene.machine.wait_for_held(1, 30)

    scene.change_environment(OPENAI_MODEL="model-2")
    [new_key] = scene.submit("meetings.extract", [meeting])
    scene.eventually(lambda: scene.client.llen(scene.queue) == 0, 30)
    scene.machine.start_worker(*THREADS, name="new")
    old.terminate()
    scene.let_go()
    scene.wait_until_done([old_key, new_key])

    assert 2 == len({old_key, new_key})
    assert (2, 1, 1) == (scene.machine.ledger.openai.calls, completed(scene, "old"), completed(scene, "new"))
    assert 0 == old.wait(30)


def completed(scene, worker):
    return scene.log(worker).count("job.completed")
