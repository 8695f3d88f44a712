from time import monotonic

import pytest

from tests.deadlines import stretched

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("its servers and links are Redis's")]


@pytest.mark.long
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_stall_of_the_server_within_the_lease_adds_no_call(new_linked_scene, stopped, pool):
    scene = new_linked_scene(together=True, JOB_LEASE="30")
    scene.machine.start_worker("-P", pool, "-c", "2")
    scene.machine.control(hold=True)
    waiting, asker, [meeting, *held] = scene.new_asker(), scene.new_asker(), scene.meetings(3)
    running = [waiting.ask("meetings.extract", asked)["key"] for asked in held]
    assert scene.machine.wait_for_held(2, stretched(30))
    waiting.begin_to_wait(90)

    with stopped(scene.records.pid):
        told = [asker.ask("meetings.extract", meeting) for _ in range(5)]
        # Both answers come while nobody takes them.
        scene.let_go()
        scene.eventually(lambda: scene.log().count("job.unstored") == 2, 30)
    answers = waiting.heard()
    scene.eventually(lambda: asker.ask("meetings.extract", meeting)["asked"] == "Hit", 30)

    assert {(key, "call") for key in running} == {(answer["key"], answer["source"]) for answer in answers}
    assert {"StoreUnavailable"} == {answer["asked"] for answer in told}
    assert "breaker_open" in [answer["reason"] for answer in told], "the later ones need not wait for it"
    calls = scene.machine.ledger.openai
    assert (3, 0) == (calls.answered, calls.surplus)
    assert "job.fenced" not in scene.log()


@pytest.mark.long
def test_stall_beyond_the_lease_overtakes_a_call_once(new_linked_scene, stopped):
    # A message that the server hands to a link which broke meanwhile is lost, and sent again after this time.
    scene = new_linked_scene(together=True, JOB_QUEUE_DEADLINE="2")
    scene.machine.start_worker("-P", "threads", "-c", "8")
    [key], since = scene.hold_meetings(1), monotonic()

    with stopped(scene.records.pid):
        scene.eventually(lambda: monotonic() - since > 1.5 * scene.lease, 30)
    # Whoever has it now keeps it: these renewals take longer than a lease.
    scene.watch_renewals(key, 4)
    scene.let_go()
    scene.wait_until_done([key])
    scene.wait_until_quiet()
    # A run that was overtaken has no message any more: only its own word tells that it is over.
    told = ("outcome=done", "job.fenced")
    scene.eventually(lambda: sum(map(scene.log().count, told)) == scene.machine.ledger.openai.answered, 30)

    # The lease may have been renewed or taken over first. Who is overtaken says that he called for nothing.
    calls, fenced = scene.machine.ledger.openai, scene.log().count("job.fenced")
    assert calls.surplus == fenced <= 1
    assert calls.answered == scene.record(key).attempts
