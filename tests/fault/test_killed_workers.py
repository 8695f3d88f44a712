import pytest

from tests.deadlines import stretched

pytestmark = pytest.mark.fault

POOLS = {"prefork": ("-P", "prefork", "-c", "2"), "threads": ("-P", "threads", "-c", "2")}


def test_job_of_a_child_killed_in_its_call_costs_one_more(scene, kill):
    scene.machine.start_worker(*POOLS["prefork"], name="first")
    scene.machine.start_worker(*POOLS["prefork"], name="second")
    keys = scene.hold_meetings(4)

    kill(scene.pid_of(keys[0]))
    scene.let_go()
    scene.wait_until_done(keys, scene.recovery)

    calls = scene.machine.ledger.openai
    assert (5, 1, 1) == (calls.answered, calls.surplus, calls.undelivered)
    assert [1, 1, 1, 2] == sorted(calls.by_content.values())
    assert [2, 1, 1, 1] == [scene.record(key).attempts for key in keys]


@pytest.mark.parametrize("pool", POOLS)
def test_jobs_of_a_killed_worker_are_done_by_the_other(scene, kill_group, pool):
    first = scene.machine.start_worker(*POOLS[pool], name="first")
    lost = scene.hold_meetings(2)
    scene.machine.start_worker(*POOLS[pool], name="second")
    kept = scene.submit("meetings.extract", scene.meetings(2))
    assert scene.machine.wait_for_held(4, stretched(30))

    children = kill_group(first)
    scene.let_go()
    scene.wait_until_done(lost + kept, scene.recovery)

    calls = scene.machine.ledger.openai
    assert (children >= 2) == (pool == "prefork")
    assert (6, 2, 2) == (calls.answered, calls.surplus, calls.undelivered)
    assert [1, 1, 2, 2] == sorted(calls.by_content.values())
    assert [2, 2, 1, 1] == [scene.record(key).attempts for key in lost + kept]


def test_job_killed_before_its_call_costs_no_extra_call(scene, kill):
    scene.machine.start_worker(*POOLS["prefork"], name="first")
    scene.machine.start_worker(*POOLS["prefork"], name="second")
    scene.machine.control(hold=True)
    # Both orders need one customer: the first one calls, the second one only waits for that call.
    [calling] = scene.submit("orders.enrich", [{"order_id": "calls", "cliente_id": 1}])
    assert scene.machine.wait_for_held(1, stretched(30))
    [waiting] = scene.submit("orders.enrich", [{"order_id": "waits", "cliente_id": 1}])
    scene.eventually(lambda: scene.record(waiting).flight == "running", 30)

    kill(scene.pid_of(waiting))
    scene.let_go()
    scene.wait_until_done([calling, waiting], scene.recovery)

    assert 1 == scene.machine.ledger.customers.calls
    assert [1, 2] == [scene.record(key).attempts for key in (calling, waiting)]


@pytest.mark.long
def test_job_that_kills_its_process_is_quarantined_after_three(new_scene, kill):
    scene = new_scene(JOB_LEASE="1")
    scene.machine.start_worker(*POOLS["prefork"])
    key, other = scene.hold_meetings(2)

    for attempt in (1, 2, 3):
        scene.eventually(lambda attempt=attempt: runs(scene, key, attempt), scene.recovery)
        assert scene.machine.wait_for_held(1 + attempt, stretched(30))
        kill(scene.pid_of(key))
    scene.eventually(lambda: scene.record(key).failure is not None, scene.recovery)
    scene.let_go()
    scene.wait_until_done([other])

    record, calls = scene.record(key), scene.machine.ledger.openai
    assert ("quarantined", "attempts_spent") == (record.failure.kind, record.failure.reason)
    assert ("idle", None, 3) == (record.flight, record.value, record.attempts)
    assert 4 == calls.calls


def runs(scene, key, attempt):
    record = scene.record(key)
    return (record.flight, record.attempts) == ("running", attempt)


@pytest.mark.parametrize("pool", POOLS)
def test_terminated_worker_finishes_its_call_under_its_lease(scene, pool):
    worker = scene.machine.start_worker(*POOLS[pool], name="first")
    [key] = scene.hold_meetings(1)
    scene.machine.start_worker(*POOLS[pool], name="second")
    begun = scene.record(key)

    worker.terminate()
    scene.eventually(lambda: "shutdown" in scene.log("first").lower(), 15)
    renewals = scene.watch_renewals(key, 4)
    scene.let_go()
    code = worker.wait(stretched(30))

    assert renewals >= 4, "longer than a lease: it was renewed all the time"
    scene.wait_until_done([key])
    calls = scene.machine.ledger.openai
    assert (0, 1, 0) == (code, calls.calls, calls.undelivered)
    assert begun.fence == scene.record(key).value.fence
