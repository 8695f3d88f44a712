import pytest

pytestmark = [pytest.mark.fault, pytest.mark.long]

POOLS = {"prefork": ("-P", "prefork", "-c", "2"), "threads": ("-P", "threads", "-c", "2")}


@pytest.fixture
def scene(new_scene):
    """The service makes its responses in the background."""
    return new_scene(LLM_BACKGROUND="true")


def hold_meetings(scene, how_many):
    """Ask for meetings and wait until the id of each one's response is in its record."""
    keys = scene.hold_meetings(how_many)
    scene.eventually(lambda: all(scene.record(key).checkpoint for key in keys), 30)
    return keys


@pytest.mark.parametrize("pool", POOLS)
def test_jobs_of_a_worker_killed_while_it_waits_cost_no_more(scene, kill_group, pool):
    first = scene.machine.start_worker(*POOLS[pool], name="first")
    lost = hold_meetings(scene, 2)
    scene.machine.start_worker(*POOLS[pool], name="second")

    children = kill_group(first)
    # The other worker waits for responses that it did not ask for.
    scene.eventually(lambda: [2, 2] == [scene.record(key).attempts for key in lost], scene.recovery)
    held = scene.machine.control()["held"]
    scene.let_go()
    scene.wait_until_done(lost)

    calls = scene.machine.ledger.openai
    assert (children >= 2) == (pool == "prefork")
    assert held == 2
    assert (2, 2, 0, 0) == (calls.calls, calls.answered, calls.surplus, calls.undelivered)
    assert [2, 2] == [scene.record(key).attempts for key in lost]
    spent = [scene.record(key).value.meta.spend for key in lost]
    assert calls.output_tokens == sum(each.usage["output_tokens"] for each in spent)


def test_next_worker_reads_a_response_that_was_made_meanwhile(scene, kill):
    scene.machine.start_worker(*POOLS["prefork"], name="first")
    scene.machine.start_worker(*POOLS["prefork"], name="second")
    keys = hold_meetings(scene, 4)

    kill(scene.pid_of(keys[0]))
    scene.let_go()
    scene.wait_until_done(keys, scene.recovery)

    calls = scene.machine.ledger.openai
    assert (4, 4, 0) == (calls.calls, calls.answered, calls.surplus)
    assert [2, 1, 1, 1] == [scene.record(key).attempts for key in keys]
    assert "" == scene.record(keys[0]).checkpoint


def test_job_that_kills_its_process_twice_is_paid_once(new_scene, kill):
    scene = new_scene(JOB_LEASE="1", LLM_BACKGROUND="true")
    scene.machine.start_worker(*POOLS["prefork"])
    [key] = hold_meetings(scene, 1)

    for attempt in (1, 2):
        scene.eventually(lambda attempt=attempt: runs(scene, key, attempt), scene.recovery)
        kill(scene.pid_of(key))
    scene.eventually(lambda: runs(scene, key, 3), scene.recovery)
    scene.let_go()
    scene.wait_until_done([key])

    assert 1 == scene.machine.ledger.openai.calls


def test_call_that_outlasts_an_attempt_is_gone_on_with_by_the_next(new_scene):
    scene = new_scene(LLM_TIMEOUT="2", LLM_BACKGROUND="true")
    scene.machine.start_worker(*POOLS["threads"])
    [key] = hold_meetings(scene, 1)

    scene.eventually(lambda: scene.record(key).attempts >= 2, 30)
    scene.let_go()
    scene.wait_until_done([key], 60)

    calls = scene.machine.ledger.openai
    assert (1, 0) == (calls.calls, calls.undelivered)


def runs(scene, key, attempt):
    record = scene.record(key)
    return (record.flight, record.attempts) == ("running", attempt)
