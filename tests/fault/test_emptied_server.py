import pytest

from tests.deadlines import stretched

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("its servers and links are Redis's")]


def test_askers_who_wait_get_their_answers_although_the_server_comes_back_empty(new_linked_scene):
    # Nothing is written down, so nothing is left: neither records nor messages.
    scene = new_linked_scene(together=True, options="appendonly no")
    scene.machine.start_worker("-P", "threads", "-c", "2")
    scene.machine.control(hold=True)
    asker = scene.new_asker()
    keys = [asker.ask("meetings.extract", meeting)["key"] for meeting in scene.meetings(4)]
    assert scene.machine.wait_for_held(2, stretched(30))
    running = [key for key in keys if scene.record(key).flight == "running"]

    asker.begin_to_wait(60)
    scene.records.kill()
    scene.records.start()
    # The askers' own doing: nobody else knows of these jobs any more.
    scene.eventually(lambda: all(record.present for record in scene.store.read(keys)), 30)
    scene.let_go()
    answers = asker.heard()

    calls, log = scene.machine.ledger.openai, scene.log()
    assert sorted(keys) == sorted(answer["key"] for answer in answers)
    assert {"call"} == {answer["source"] for answer in answers}
    assert scene.are_done(keys)
    # The claims of the two calls under way were lost with the server, so each is made once more, and the
    # answer of the first one is refused.
    assert (6, 2) == (calls.answered, calls.surplus)
    assert sorted(running) == sorted(
        key for key in keys if f"job.fenced task=meetings.extract key={key[:16]}" in log
    )
