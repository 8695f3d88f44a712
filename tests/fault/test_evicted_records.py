import pytest

from tests.deadlines import stretched

pytestmark = [
    pytest.mark.fault,
    pytest.mark.redis_broker("its servers and links are Redis's"),
    pytest.mark.long,
]

#: What the server drops under pressure has a time to live: records, and never a queue.
VOLATILE = "maxmemory-policy volatile-ttl\nmaxmemory-samples 64"


@pytest.fixture
def scene(new_linked_scene):
    return new_linked_scene(together=True, options=VOLATILE)


def squeeze(scene):
    """Take memory away until no record is left; what lives longer than a record goes last."""
    used = scene.client.info("memory")["used_memory"]
    for number in range(20_000):
        if not list(scene.client.scan_iter("{askonce:*:rec:*", count=1000)):
            break
        scene.client.set(f"filler:{number}", b"x" * 10_000, ex=10**9)
        if number == 0:
            scene.client.config_set("maxmemory", used + 500_000)
    else:
        pytest.fail("no record was evicted")
    assert scene.client.info("stats")["evicted_keys"] > 0
    scene.client.config_set("maxmemory", 0)


def test_queued_jobs_whose_records_are_evicted_are_done_once(scene):
    keys = scene.submit("meetings.extract", scene.meetings(3))
    squeeze(scene)
    assert 3 == scene.queue.waiting(), "the queue is left alone"

    scene.machine.start_worker("-P", "threads", "-c", "4")
    scene.wait_until_done(keys)
    scene.wait_until_quiet()

    assert (3, 0) == (scene.machine.ledger.openai.calls, scene.machine.ledger.openai.surplus)


def test_evicted_answer_is_called_again_when_it_is_enqueued(scene):
    scene.machine.start_worker("-P", "threads", "-c", "4")
    asker, [meeting] = scene.new_asker(), scene.meetings(1)
    key = asker.ask("meetings.extract", meeting)["key"]
    scene.wait_until_done([key])

    squeeze(scene)
    told = asker.ask("meetings.extract", meeting)
    asker.begin_to_wait(60)
    answers = asker.heard()

    assert ("Admitted", key) == (told["asked"], told["key"])
    assert {(key, "call")} == {(answer["key"], answer["source"]) for answer in answers}
    assert (2, 1) == (scene.machine.ledger.openai.answered, scene.machine.ledger.openai.surplus)


def test_waiter_of_an_evicted_record_gets_the_one_visible_answer(scene):
    scene.machine.start_worker("-P", "threads", "-c", "4")
    scene.machine.control(hold=True)
    asker, [meeting] = scene.new_asker(), scene.meetings(1)
    key = asker.ask("meetings.extract", meeting)["key"]
    assert scene.machine.wait_for_held(1, stretched(30))

    squeeze(scene)
    asker.begin_to_wait(60)
    assert scene.machine.wait_for_held(2, stretched(30))
    scene.let_go()
    [answer] = asker.heard()
    scene.eventually(lambda: "job.fenced" in scene.log(), 15)

    calls, visible = scene.machine.ledger.openai, scene.record(key).value
    assert (2, 1, 1) == (calls.answered, calls.surplus, scene.log().count("job.fenced"))
    assert answer["fence"] == visible.fence
