import pytest

from tests.deadlines import stretched

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("its servers and links are Redis's")]

POOLS = {"prefork": ("-P", "prefork", "-c", "3"), "threads": ("-P", "threads", "-c", "3")}


@pytest.mark.parametrize("pool", POOLS)
def test_call_goes_on_and_is_made_once_when_every_link_breaks(new_linked_scene, pool):
    scene = new_linked_scene(together=True)
    scene.machine.start_worker(*POOLS[pool])
    running = scene.hold_meetings(2)

    scene.to_records.cut()
    # The broker's client gives back what it held, so the jobs' messages come a second time.
    scene.eventually(lambda: scene.log().count("job.skipped") >= len(running), 30)
    scene.let_go()
    scene.wait_until_done(running)
    scene.wait_until_quiet()

    calls = scene.machine.ledger.openai
    assert (2, 2, 0) == (calls.calls, calls.answered, calls.undelivered)
    assert [1, 1] == [scene.record(key).attempts for key in running]


@pytest.mark.long
def test_answer_that_waited_for_its_link_is_fenced(new_linked_scene):
    scene = new_linked_scene()
    scene.machine.start_worker("-P", "threads", "-c", "2", name="silenced")
    [key] = scene.hold_meetings(1)
    direct = {"REDIS_URL": scene.records.url}
    scene.machine.start_worker("-P", "threads", "-c", "2", name="other", env=direct)

    with scene.to_records.blocked():
        assert scene.machine.wait_for_held(2, stretched(30))
        scene.let_go()
        scene.wait_until_done([key])
        visible = scene.record(key).value
        scene.eventually(lambda: "job.unstored" in scene.log("silenced"), 30)
    scene.eventually(lambda: "job.stored_late" in scene.log("silenced"), 30)

    calls = scene.machine.ledger.openai
    assert (2, 1) == (calls.answered, calls.surplus), "the silenced worker's lease ran out in its call"
    assert "outcome=fenced" in scene.log("silenced")
    assert visible.fence == scene.record(key).value.fence
    assert 1 == scene.log("other").count("outcome=done")


def test_job_whose_message_the_broker_did_not_take_is_done_once(new_linked_scene):
    scene = new_linked_scene(JOB_QUEUE_DEADLINE="2")
    scene.machine.start_worker("-P", "threads", "-c", "2")
    asker, [meeting] = scene.new_asker(), scene.meetings(1)

    with scene.to_messages.refusing():
        scene.to_messages.cut()
        told = asker.ask("meetings.extract", meeting)
    scene.wait_until_done([told["key"]], 40)

    assert "SendFailed" == told["asked"]
    assert (1, 1) == (scene.machine.ledger.openai.calls, scene.record(told["key"]).attempts)
