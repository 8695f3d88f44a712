import pytest

pytestmark = pytest.mark.fault

#: Seconds; longer than the silence, so that the job stays with its worker.
LONG_LEASE = "30"
#: What opens a breaker.
ERRORS = 3


@pytest.mark.parametrize("together", [False, True], ids=["broker apart", "one server"])
def test_asker_is_told_within_a_second_and_no_answer_is_lost_while_the_store_is_silent(
    new_linked_scene, together
):
    scene = new_linked_scene(together=together, JOB_LEASE=LONG_LEASE)
    scene.machine.start_worker("-P", "threads", "-c", "8")
    running = scene.hold_meetings(2)
    asker, meetings = scene.new_asker(), scene.meetings(6)
    assert "Admitted" == asker.ask("orders.enrich", {"order_id": "warm-up", "cliente_id": 1})["asked"]

    with scene.to_records.blocked():
        told = [asker.ask("meetings.extract", meeting) for meeting in meetings]
        scene.let_go()
        scene.eventually(lambda: scene.log().count("job.unstored") == 2, 30)

    # The first ones wait for the store and may be held up by this machine too, the others need not ask.
    assert min(answer["seconds"] for answer in told[:ERRORS]) < 1.0
    assert min(answer["seconds"] for answer in told[ERRORS:]) < 0.3
    if together:
        assert [("StoreUnavailable", "TimeoutError")] * ERRORS == [
            refused(answer) for answer in told[:ERRORS]
        ]
        assert ("StoreUnavailable", "breaker_open") == refused(told[-1])
        scene.eventually(
            lambda: asker.ask("meetings.extract", meetings[0])["asked"] != "StoreUnavailable", 30
        )
        # What a silent link held back may have arrived after all, so some of these may be under way.
        told = [asker.ask("meetings.extract", meeting) for meeting in meetings]
    else:
        assert [("Admitted", True)] * 6 == [(answer["asked"], answer["degraded"]) for answer in told]
    scene.wait_until_done([*running, *(answer["key"] for answer in told)], 40)

    calls, log = scene.machine.ledger.openai, scene.log()
    assert (8, 8, 0) == (calls.calls, calls.answered, calls.surplus)
    assert (2, 2) == (log.count("job.stored_late"), log.count("outcome=ok"))
    assert "job.fenced" not in log


def refused(answer):
    return answer["asked"], answer["reason"]
