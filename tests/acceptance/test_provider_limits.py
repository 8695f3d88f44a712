"""A model that accepts less than the workers could send: every row is answered, and few calls are in vain."""

import pytest

from tests.acceptance.crowds import POOLS, SLOTS, assert_all_answered, meetings
from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

#: What a service with a limit tells of it: headers with every reply, and a wish with a refusal.
TELLING = {
    "nothing": {"llm_rate_headers": False},
    "a wish": {"llm_rate_headers": False, "llm_retry_after": "seconds"},
    "headers": {"llm_rate_headers": True},
    "headers and a wish": {"llm_rate_headers": True, "llm_retry_after": "seconds"},
}


@pytest.fixture
def limited(new_machine):
    """Start workers whose model accepts so many calls a second."""

    def begin(rate, telling, *workers):
        outside = {"llm_latency": 0.2, "llm_requests_per_second": rate, **TELLING[telling]}
        # A killed worker keeps what it took until these are over.
        env = {"REAP_INTERVAL": "1", "JOB_LEASE": "3", "JOB_QUEUE_DEADLINE": "10"}
        machine = new_machine(outside=outside, env=env)
        for number, options in enumerate(workers):
            machine.start_worker(*options, name=f"worker-{number}")
        return machine

    return begin


def assert_few_refused(machine, count):
    calls = machine.ledger.openai
    assert count == len(calls.by_content)
    # A worker of a busy machine hears later of a refusal: more calls are under way by then.
    assert calls.refused <= min(0.5, stretched(0.15)) * calls.calls, (calls.calls, calls.refused)


@pytest.mark.parametrize("telling", ["nothing", "headers and a wish"])
def test_rows_beyond_a_rate_wait_for_their_turn(limited, submit, telling):
    machine = limited(20, telling, POOLS["threads"])

    told = submit(machine, "meetings.extract", meetings(200), "--wait")

    assert_all_answered(told, 200)
    assert_few_refused(machine, 200)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("telling", TELLING)
def test_rows_beyond_a_low_rate_wait_for_their_turn(limited, submit, telling, pool):
    machine = limited(10, telling, POOLS[pool])

    told = submit(machine, "meetings.extract", meetings(200), "--wait")

    assert_all_answered(told, 200)
    assert_few_refused(machine, 200)


def test_workers_share_a_rate_also_when_one_is_killed(limited, begin_submit, eventually):
    machine = limited(10, "nothing", *[("-P", "threads", "-c", "16")] * 4)

    asker = begin_submit(machine, "meetings.extract", meetings(200), "--wait")
    eventually(lambda: machine.ledger.openai.answered >= 50, 60)
    machine.workers[0].kill()
    told = asker.finish()

    # What the killed one had under way is called again.
    assert_all_answered(told, 200, {1, 2})
    assert_few_refused(machine, 200)


@pytest.mark.parametrize(
    ("latency", "rows"), [(0.3, 60), pytest.param(0.6, 100, marks=pytest.mark.long)], ids=["few", "many"]
)
def test_server_of_one_s_own_gets_no_more_calls_than_it_can_answer(new_machine, submit, latency, rows):
    outside = {"llm_latency": latency, "llm_slots": 4, "llm_rate_headers": False}
    machine = new_machine(outside=outside, env={"LLM_TIMEOUT": str(7.5 * latency)})
    machine.start_worker(*POOLS["threads"])

    told = submit(machine, "meetings.extract", meetings(rows), "--wait")

    assert rows > SLOTS / 2, "as many as would wait longer in the server's own queue than a call may take"
    assert ["done"] * rows == [row["status"] for row in told.reports]
    assert machine.ledger.openai.calls <= 1.15 * rows
