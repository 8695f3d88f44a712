import pytest

pytestmark = [pytest.mark.fault, pytest.mark.long]


def test_queued_jobs_outlive_a_killed_server(scene):
    keys = scene.submit("meetings.extract", scene.meetings(5))

    scene.machine.valkey.kill()
    scene.machine.valkey.start()
    scene.machine.start_worker("-P", "threads", "-c", "4")
    scene.wait_until_done(keys, 30)

    assert 5 == scene.machine.ledger.openai.calls


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_jobs_outlive_a_killed_server_at_no_extra_call(new_scene, pool):
    scene = new_scene(JOB_QUEUE_DEADLINE="5")
    scene.machine.start_worker("-P", pool, "-c", "2")
    scene.hold_meetings(2)
    waiting = scene.submit("meetings.extract", scene.meetings(6))
    running = [key[-64:].decode() for key in scene.client.keys("*:rec:*")]

    scene.machine.valkey.kill()
    scene.machine.valkey.start()
    scene.let_go()
    scene.wait_until_done(sorted({*running, *waiting}), 60)

    calls = scene.machine.ledger.openai
    assert (8, 0) == (calls.answered, calls.surplus)


def test_answer_during_an_outage_is_stored_after_it(new_scene):
    scene = new_scene(JOB_LEASE="30")
    scene.machine.start_worker("-P", "threads", "-c", "2")
    [key] = scene.hold_meetings(1)

    scene.machine.valkey.kill()
    scene.let_go()
    scene.eventually(lambda: scene.machine.ledger.openai.answered == 1, 15)
    scene.machine.valkey.start()
    scene.wait_until_done([key], 25)

    assert 1 == scene.machine.ledger.openai.calls
    assert 1 == scene.record(key).attempts


def test_user_who_may_only_run_scripts_works_on_after_a_restart(new_linked_scene):
    # The server forgets its scripts when it ends, and this user may not load one, nor ask about the server.
    # It is the records' alone, for the broker's client loads scripts of its own.
    denied = " ".join(f"-{command}" for command in ("script", "function", "config", "info", "acl"))
    scene = new_linked_scene(options=f"user default on nopass ~* &* +@all {denied}")
    scene.machine.start_worker("-P", "threads", "-c", "2")
    asker, meetings = scene.new_asker(), scene.meetings(3)
    before = asker.ask("meetings.extract", meetings[0])["key"]
    scene.wait_until_done([before])

    scene.records.kill()
    scene.records.start()
    after = [asker.ask("meetings.extract", meeting) for meeting in meetings]
    scene.wait_until_done([answer["key"] for answer in after])

    assert ["Hit", "Admitted", "Admitted"] == [answer["asked"] for answer in after]
    assert 3 == scene.machine.ledger.openai.calls
