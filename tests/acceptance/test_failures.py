from contextlib import closing

import pytest
from redis import Redis

from tests.records import open_records

pytestmark = pytest.mark.acceptance


@pytest.fixture
def enrich(machine, submit):
    """Ask for one order and wait; the report of its answer."""
    return lambda order: submit(machine, "orders.enrich", [order], "--wait").report


@pytest.fixture
def make_stale(machine):
    """End the freshness of every answer that is kept, as if its soft time to live had passed."""

    def end():
        with Redis.from_url(machine.valkey.url) as client:
            for key in client.scan_iter("{askonce:jobs:*:rec:*"):
                if client.hexists(key, "sx"):
                    client.hset(key, "sx", 1)

    return end


def test_order_is_unknown_while_the_customer_service_is_down(machine, enrich, new_order):
    order = new_order()
    machine.control(failure_rate=1.0)

    told = enrich(order)

    assert ("done", "default") == (told["status"], told["source"])
    assert {**order, "cliente_nome": "Desconhecido", "cliente_fonte": "default"} == told["result"]


def test_unknown_customer_gets_a_name_once_the_service_is_back(machine, enrich, new_order, eventually):
    order = new_order()
    machine.control(failure_rate=1.0)
    first, again = enrich(order), enrich(order)
    before = machine.ledger.customers.answered
    machine.control(failure_rate=0.0)

    # The customer's key rests for a moment after the last failure; until then the default stays.
    healed = eventually(lambda: named(enrich(order)), 30)
    kept = enrich(order)

    assert ("default", "default") == (first["source"], again["source"])
    assert "admitted" == again["asked"]
    assert ("call", f"Cliente {order['cliente_id']}") == (healed["source"], healed["result"]["cliente_nome"])
    assert before + 1 == machine.ledger.customers.answered
    assert ("hit", healed["result"]) == (kept["asked"], kept["result"])


def test_last_known_customer_is_stale_while_the_service_is_down(
    machine, enrich, new_order, make_stale, eventually
):
    order = new_order()
    known = enrich(order)
    make_stale()
    machine.control(failure_rate=1.0)
    before = machine.ledger.customers.refused

    stale = enrich({**order, "order_id": f"{order['order_id']}-B"})
    again = enrich({**order, "order_id": f"{order['order_id']}-B"})
    machine.control(failure_rate=0.0)
    fresh = eventually(lambda: called(enrich({**order, "order_id": f"{order['order_id']}-B"})), 30)

    assert ("done", "stale", "stale") == (stale["status"], stale["source"], stale["result"]["cliente_fonte"])
    assert known["result"]["cliente"] == stale["result"]["cliente"]
    assert machine.ledger.customers.refused > before
    assert ("admitted", "stale") == (again["asked"], again["source"])
    assert ("call", known["result"]["cliente"]) == (fresh["source"], fresh["result"]["cliente"])


def test_unknown_customer_is_looked_up_once(machine, enrich, new_order):
    before = machine.ledger.customers
    nobody = {**new_order(), "cliente_id": "nobody"}

    first, again = enrich(nobody), enrich(nobody)
    other = enrich({**nobody, "order_id": f"{nobody['order_id']}-B"})

    assert {"Desconhecido"} == {told["result"]["cliente_nome"] for told in (first, again, other)}
    assert {"default"} == {told["source"] for told in (first, again, other)}
    assert before.calls + 1 == machine.ledger.customers.calls
    assert before.refused + 1 == machine.ledger.customers.refused


def test_refused_model_call_is_tried_again_and_answered(machine, begin_submit, new_meeting, eventually):
    before = machine.ledger.openai
    machine.control(llm_failure_rate=1.0)

    asker = begin_submit(machine, "meetings.extract", [new_meeting()], "--wait")
    eventually(lambda: machine.ledger.openai.refused > before.refused, 30)
    machine.control(llm_failure_rate=0.0)
    told = asker.finish()

    assert (0, "done", "call") == (told.code, told.report["status"], told.report["source"])
    after = machine.ledger.openai
    assert before.answered + 1 == after.answered
    assert 1 <= after.refused - before.refused <= 2


@pytest.mark.long
def test_model_that_refuses_for_long_uses_no_attempt(machine, begin_submit, new_meeting, eventually):
    before = machine.ledger.openai
    machine.control(llm_failure_rate=1.0)

    asker = begin_submit(machine, "meetings.extract", [new_meeting()], "--wait")
    # More often than any job is attempted.
    eventually(lambda: machine.ledger.openai.refused >= before.refused + 4, 60)
    machine.control(llm_failure_rate=0.0)
    told = asker.finish()

    assert (0, "done", "call") == (told.code, told.report["status"], told.report["source"])
    assert before.answered + 1 == machine.ledger.openai.answered


@pytest.mark.long
def test_model_that_never_answers_is_called_three_times(new_machine, submit, new_meeting):
    machine = new_machine(env={"LLM_TIMEOUT": "0.5", "REAP_INTERVAL": "1"})
    machine.start_worker("-P", "threads", "-c", "2")
    machine.control(hold=True)
    meeting = new_meeting()

    told = submit(machine, "meetings.extract", [meeting], "--wait")
    again = submit(machine, "meetings.extract", [meeting], "--wait")
    machine.control(hold=False)

    assert (1, "failed", 3) == (told.code, told.report["status"], told.report["error"]["attempts"])
    assert "timeout@open:1" == told.report["error"]["reason"]
    assert ("negative", "quarantined") == (again.report["asked"], again.report["error"]["kind"])
    assert 3 == machine.ledger.openai.calls


@pytest.mark.long
@pytest.mark.parametrize(("api_key", "reason"), [("sk-invalid", "invalid_key"), ("sk-no-quota", "no_credit")])
def test_jobs_with_refused_credentials_wait_for_better_ones(
    new_machine, submit, new_meeting, eventually, api_key, reason
):
    machine = new_machine(env={"OPENAI_API_KEY": api_key, "REAP_INTERVAL": "1"})
    machine.start_worker("-P", "threads", "-c", "4", name="refused")
    meetings = [new_meeting(), new_meeting()]

    first = submit(machine, "meetings.extract", meetings, "--wait", "--timeout", "3")
    keys = [report["key"] for report in first.reports]
    with closing(open_records(machine.valkey.url, "jobs")) as store:
        eventually(lambda: {(reason, 0)} == {why_it_waits(record) for record in store.read(keys)})
    machine.stop_workers()
    calls = machine.ledger.openai
    machine.start_worker("-P", "threads", "-c", "4", env={"OPENAI_API_KEY": "sk-sandbox"})
    again = submit(machine, "meetings.extract", meetings, "--wait")

    assert (75, ["timeout"] * 2) == (first.code, [report["status"] for report in first.reports])
    assert calls.calls == calls.refused
    assert (0, ["done"] * 2) == (again.code, [report["status"] for report in again.reports])
    assert {1} == {report["attempts"] for report in again.reports}
    assert 2 == machine.ledger.openai.answered


def why_it_waits(record):
    return record.parked and record.parked.reason, record.attempts


def named(report):
    return report if report["result"]["cliente_nome"] != "Desconhecido" else None


def called(report):
    return report if report["source"] == "call" else None
