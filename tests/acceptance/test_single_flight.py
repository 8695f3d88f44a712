import json
from collections import Counter
from pathlib import Path

import pytest
from redis import Redis

from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

ASKERS = 50
MANY_ASKERS = str(Path(__file__).with_name("many_askers.py"))
STRANGER = str(Path(__file__).with_name("send_raw.py"))


@pytest.fixture
def queue(machine, queue_of):
    queue = queue_of(machine)
    yield queue
    queue.close()


@pytest.fixture
def gate(machine):
    with Redis.from_url(machine.valkey.url) as client:
        client.delete("test:ready", "test:go", "test:asked")
        yield client


@pytest.fixture
def send_raw(start, tmp_path):
    """Put messages into the queue behind the producer's back."""

    def send(machine, task, payloads):
        path = tmp_path / "messages.jsonl"
        path.write_text("".join(json.dumps([task, payload]) + "\n" for payload in payloads))
        told = start(machine, STRANGER, str(path), PYTHONPATH=".").finish()
        assert 0 == told.code, told.err

    return send


@pytest.mark.long
def test_fifty_processes_at_once_share_one_call(machine, gate, start, new_order, eventually):
    order, before = new_order(), machine.ledger.customers.calls
    machine.control(hold=True)

    askers = start(machine, MANY_ASKERS, str(ASKERS), "orders.enrich", json.dumps(order), PYTHONPATH=".")
    eventually(lambda: gate.llen("test:ready") == ASKERS, 90)
    processes = set(gate.lrange("test:ready", 0, -1))
    gate.rpush("test:go", *range(ASKERS))
    eventually(lambda: gate.llen("test:asked") == ASKERS, 60)
    machine.control(hold=False)
    told = askers.finish()

    assert (0, ASKERS) == (told.code, len(processes)), told
    assert {"Admitted": 1, "Attached": ASKERS - 1} == Counter(one["asked"] for one in told.reports)
    assert 1 == len({one["job"] for one in told.reports})
    [value] = {json.dumps(one["value"]) for one in told.reports}
    assert f"Cliente {order['cliente_id']}" == json.loads(value)["cliente_nome"]
    assert before + 1 == machine.ledger.customers.calls


def test_fifty_messages_behind_the_producers_back_make_one_call(
    machine, queue, send_raw, submit, new_meeting, eventually
):
    meeting, before = new_meeting(), machine.ledger.openai.calls
    machine.control(hold=True)

    send_raw(machine, "meetings.extract", [meeting] * ASKERS)
    # All but the one that calls have found out that there is nothing to do.
    eventually(lambda: queue.is_settled(held=1), 30)
    assert machine.wait_for_held(1, stretched(10))
    machine.control(hold=False)
    eventually(queue.is_settled, 30)

    told = submit(machine, "meetings.extract", [meeting], "--wait")
    # RabbitMQ does not show what a worker holds, so the call may still be under way there.
    assert told.report["asked"] in ("hit", "attached")
    assert before + 1 == machine.ledger.openai.calls


def test_foreign_message_after_the_answer_makes_no_call(
    machine, queue, send_raw, submit, new_meeting, eventually
):
    meeting = new_meeting()
    submit(machine, "meetings.extract", [meeting], "--wait")
    before = machine.ledger.openai.calls

    send_raw(machine, "meetings.extract", [meeting] * 5)
    eventually(queue.is_settled, 30)

    assert before == machine.ledger.openai.calls


def test_duplicate_after_the_answer_is_a_hit_without_a_call(machine, submit, new_order):
    order = new_order()
    first = submit(machine, "orders.enrich", [order], "--wait").report
    before = machine.ledger

    second = submit(machine, "orders.enrich", [order], "--wait").report

    assert ("admitted", "call") == (first["asked"], first["source"])
    assert ("hit", "cache") == (second["asked"], second["source"])
    assert (first["result"], first["key"]) == (second["result"], second["key"])
    assert before == machine.ledger


def test_duplicate_during_the_call_attaches_and_gets_its_answer(machine, begin_submit, submit, new_meeting):
    meeting, before = new_meeting(), machine.ledger.openai.calls
    machine.control(hold=True)
    owner = begin_submit(machine, "meetings.extract", [meeting], "--wait")
    assert machine.wait_for_held(1, stretched(30))

    peeked = submit(machine, "meetings.extract", [meeting]).report
    duplicate = begin_submit(machine, "meetings.extract", [meeting], "--wait")
    machine.control(hold=False)
    first, second = owner.finish().report, duplicate.finish().report

    assert "attached" == peeked["asked"]
    assert first["job"] == peeked["job"] == second["job"]
    assert first["result"] == second["result"]
    assert before + 1 == machine.ledger.openai.calls


def test_tenant_and_payload_fields_decide_what_is_one_job(machine, submit, new_meeting):
    meeting, before = new_meeting(), machine.ledger.openai.calls

    own = submit(machine, "meetings.extract", [meeting], "--wait").report
    other = submit(machine, "meetings.extract", [meeting], "--wait", "--tenant", "acme").report
    corrected = {**meeting, "transcript": meeting["transcript"] + "\nAna: On Monday."}
    anew = submit(machine, "meetings.extract", [corrected], "--wait").report

    assert own["key"] != other["key"]
    assert ("admitted", "admitted") == (other["asked"], anew["asked"])
    assert before + 3 == machine.ledger.openai.calls
