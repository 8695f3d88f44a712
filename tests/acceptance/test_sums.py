"""What all rows caused to be paid is what the counters have, and what the services noted: nothing twice."""

import json

import pytest

from sandbox.outside import openai_wire
from sandbox.outside.openai_wire import PRICE
from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

TASK = "meetings.extract"
#: Characters of a part: a transcript is several.
PART = 200
MEETINGS, SHARED = 24, 4


def said(who, number):
    return f"{who}: We decided to ship version {number} on Friday, and to write all of it down until noon."


def meeting(number):
    """A meeting of three parts, of which others share the first."""
    turns = [said("Ana", f"s{number % SHARED}"), said("Bruno", f"s{number % SHARED}")]
    turns += [said(who, f"{number}.{turn}") for turn in range(2) for who in ("Ana", "Bruno")]
    return {"meeting_id": f"m-{number}", "transcript": "\n".join(turns)}


@pytest.fixture
def busy_machine(new_machine):
    """A machine with two workers, whose model gives answers that cannot be used now and then."""
    env = {"OPENAI_MODEL": openai_wire.MODEL, "LLM_MAX_INPUT_CHARS": str(PART)}
    machine = new_machine(env={"REAP_INTERVAL": "1", **env}, outside={"llm_malformed_rate": 0.1})
    for name in ("first", "second"):
        machine.start_worker("-P", "threads", "-c", "8", name=name)
    return machine


@pytest.fixture
def submitted(producer, rows_file, tmp_path):
    """Submit rows of a task; return the lines of the output."""

    def run(machine, task, rows, *options):
        out = tmp_path / f"{task}.jsonl"
        told = producer(machine, "submit", task, rows_file(*rows), "--out", out, *options)
        assert told.code == 0, told.err
        return [json.loads(line) for line in out.read_text("utf-8").splitlines()]

    return run


def counted(machine, producer):
    """The sum that ``cost`` shows."""
    return producer(machine, "cost", "--json").reports[-1]


@pytest.mark.long
def test_meetings_that_share_parts_cost_together_what_the_service_noted(busy_machine, submitted, producer):
    machine = busy_machine
    rows = submitted(machine, TASK, map(meeting, range(MEETINGS)), "--timeout", str(stretched(60)))

    noted, total = machine.ledger.openai, counted(machine, producer)
    paid = noted.input_tokens * PRICE["input"] + noted.output_tokens * PRICE["output"]
    assert total["known_micro_usd"] == pytest.approx(paid, abs=noted.answered)
    assert sum(row["cost_usd"] for row in rows) * 1e6 == pytest.approx(paid, abs=noted.answered)
    assert sum(row["calls"] for row in rows) == total["calls"] == noted.answered
    for name, count in (("input_tokens", noted.input_tokens), ("output_tokens", noted.output_tokens)):
        assert sum(row["usage"].get(name, 0) for row in rows) == total["tokens"][name] == count
    assert sum(bool(row["avoided_usd"]) for row in rows) == MEETINGS - SHARED, (
        "who found the shared part there"
    )


def test_orders_count_the_lookups_that_were_sent(machine, submitted, producer, new_order):
    before, at_first = machine.ledger.customers, counted(machine, producer)["calls"]
    orders = [new_order() for _ in range(5)]
    same = [{**order, "order_id": f"{order['order_id']}-{copy}"} for order in orders for copy in range(6)]

    rows = submitted(machine, "orders.enrich", same)

    sent = machine.ledger.customers.answered - before.answered
    assert sent == 5
    assert sum(row["calls"] for row in rows) == counted(machine, producer)["calls"] - at_first == sent
    assert sorted((row["calls"], row["cost_usd"]) for row in rows if row["calls"] == 0) == [(0, 0.0)] * 25
    assert [row["cost_usd"] for row in rows if row["calls"]] == [None] * 5, "its price is unknown"


@pytest.mark.long
def test_row_whose_key_gets_other_content_keeps_its_answer_and_cost(new_machine, submitted, producer):
    machine = new_machine(env={"OPENAI_MODEL": openai_wire.MODEL})
    machine.start_worker("-P", "threads", "-c", "8")
    machine.control(llm_latency=0.5)
    first, other = ({"meeting_id": "a", "transcript": said("Ana", number)} for number in (1, 2))
    between = [{"meeting_id": "b", "transcript": said("Ana", 3)}] * 500

    rows = submitted(machine, TASK, [first, *between, other])

    noted = machine.ledger.openai
    paid = noted.input_tokens * PRICE["input"] + noted.output_tokens * PRICE["output"]
    assert ({row["status"] for row in rows}, noted.answered, noted.surplus) == ({"done"}, 3, 0)
    assert [rows[0]["later_row"], rows[-1]["later_row"]] in ([502, None], [None, None])
    assert sum(row["cost_usd"] for row in rows) * 1e6 == pytest.approx(paid, abs=3)
    assert counted(machine, producer)["known_micro_usd"] == pytest.approx(paid, abs=3)
