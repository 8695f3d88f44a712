"""A service that is away for some seconds: the jobs wait for it, and none of them uses an attempt."""

from contextlib import closing

import pytest

from tests.acceptance.crowds import ANSWERS, POOLS, SLOTS, assert_all_answered, events, log_of, meetings
from tests.deadlines import stretched
from tests.records import open_records

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

#: Enough that the service goes away in the middle of them.
ROWS = {"threads": 500, "prefork": 200}


def stop(machine):
    machine.outside.stop()


def refuse(machine):
    machine.control(llm_down="refuse_503")


def reset(machine):
    machine.control(llm_down="reset")


def come_back(machine, way):
    if way is stop:
        machine.outside.start()
    else:
        machine.control(llm_down="")


@pytest.fixture
def working(new_machine):
    def begin(pool, *options, **outside):
        machine = new_machine(outside={"llm_rate_headers": False, **outside}, env={"REAP_INTERVAL": "1"})
        machine.start_worker(*POOLS[pool], *options)
        return machine

    return begin


@pytest.mark.parametrize(
    ("way", "pool"),
    [
        pytest.param(stop, "threads", marks=pytest.mark.long, id="stop-threads"),
        pytest.param(stop, "prefork", id="stop-prefork"),
        pytest.param(refuse, "threads", marks=pytest.mark.long, id="refuse-threads"),
        pytest.param(refuse, "prefork", marks=pytest.mark.long, id="refuse-prefork"),
    ],
)
def test_rows_wait_for_a_model_that_is_away_without_an_attempt(working, begin_submit, eventually, way, pool):
    machine = working(pool, llm_latency=0.1)

    asker = begin_submit(machine, "meetings.extract", meetings(ROWS[pool]), "--wait")
    eventually(lambda: machine.ledger.openai.answered >= ROWS[pool] / 5, 60)
    way(machine)
    eventually(lambda: events(machine, "provider.away"), 30)
    come_back(machine, way)
    told = asker.finish()

    # A stop cuts the connections under way: these calls may have been paid.
    assert_all_answered(told, ROWS[pool], {1, 2} if way is stop else {1})
    assert sum(row["attempts"] - 1 for row in told.reports) <= SLOTS
    assert "job.failed" not in log_of(machine)
    assert 1 == len(events(machine, "provider.away"))
    assert 1 == len(events(machine, "provider.back"))


@pytest.mark.parametrize("pool", POOLS)
def test_rows_are_answered_although_connections_are_reset(working, begin_submit, eventually, pool):
    machine = working(pool, llm_latency=0.1)

    asker = begin_submit(machine, "meetings.extract", meetings(ROWS[pool]), "--wait")
    eventually(lambda: machine.ledger.openai.answered >= ROWS[pool] / 5, 60)
    reset(machine)
    eventually(lambda: events(machine, "provider.away"), 30)
    come_back(machine, reset)
    told = asker.finish()

    # Each call that was cut may have been paid; the others wait. What the service cut unread is in no ledger.
    assert_all_answered(told, ROWS[pool], {1, 2})
    # Slots that a cut call leaves begin others, until the workers have heard enough: later on a busy machine.
    most = stretched(SLOTS)
    assert sum(row["attempts"] - 1 for row in told.reports) <= most
    assert machine.ledger.openai.refused <= most


def test_row_that_is_refused_alone_ends_after_its_attempts(working, submit):
    machine = working("threads", answers=ANSWERS, script={"ODD": ["503_bare", "*"]})
    [odd] = meetings(1, "ODD")

    told = submit(machine, "meetings.extract", [*meetings(20), odd], "--wait")

    *others, failed = told.reports
    assert ["done"] * 20 == [row["status"] for row in others]
    assert ("quarantined", "unavailable", 3) == (
        failed["error"]["kind"],
        failed["error"]["reason"],
        failed["error"]["attempts"],
    )
    assert (23, 3) == (machine.ledger.openai.calls, machine.ledger.openai.refused)


@pytest.mark.parametrize("pool", POOLS)
def test_order_never_waits_for_a_customer_service_that_fails_now_and_then(working, submit, customers, pool):
    machine = working(pool, "--loglevel", "DEBUG", customers=customers, failure_rate=0.1)
    orders = [{"order_id": f"O-{number}", "cliente_id": number} for number in range(1, 101)]

    told = submit(machine, "orders.enrich", orders, "--wait")

    assert ["done"] * 100 == [row["status"] for row in told.reports]
    assert {row["source"] for row in told.reports} <= {"call", "stale", "default"}
    assert 5 <= machine.ledger.customers.refused
    assert [] == events(machine, "job.parked")
    with closing(open_records(machine.valkey.url, "jobs")) as store:
        records = store.read([row["key"] for row in told.reports])
    assert {None} == {record.parked for record in records}
