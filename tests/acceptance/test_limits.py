"""A limit of a run in dollars or calls: never passed, not wasted, and held over its starts."""

import json
from secrets import token_hex

import pytest

from sandbox.outside import openai_wire
from sandbox.outside.openai_wire import PRICE
from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

TASK, ROWS = "meetings.extract", 900


@pytest.fixture
def priced_machine(new_machine):
    """A machine with two workers, and a limit of each answer; the model reasons for random lengths."""
    machine = new_machine(env={"OPENAI_MODEL": openai_wire.MODEL, "LLM_MAX_OUTPUT_TOKENS": "1200"})
    machine.control(llm_reasoning=150, llm_reasoning_spread=0.4)
    for name in ("first", "second"):
        machine.start_worker("-P", "threads", "-c", "16", name=name)
    return machine


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.jsonl"


def meeting(own, turns=40):
    said = (f"Ana: We decided to ship version {own}.{turn} on Friday." for turn in range(turns))
    return {"meeting_id": own, "transcript": "\n".join(said)}


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def paid_by_rows(out):
    """What the rows caused to be paid so far, in dollars."""
    return sum(line["cost_usd"] for line in lines(out.with_name("out.jsonl.journal")) if "row" in line)


def noted(machine):
    """What the service noted, in dollars."""
    calls = machine.ledger.openai
    return (calls.input_tokens * PRICE["input"] + calls.output_tokens * PRICE["output"]) / 1e6


def counted(machine, producer):
    return producer(machine, "cost", "--json").reports[-1]["cost_usd"]


@pytest.mark.long
def test_limit_of_a_third_is_spent_to_nine_tenths_and_never_passed(priced_machine, producer, rows_file, out):
    machine = priced_machine
    file = rows_file(*(meeting(token_hex(8)) for _ in range(ROWS)))
    producer(machine, "submit", TASK, rows_file(*(meeting(token_hex(8)) for _ in range(30))), "--wait")
    limit = round(noted(machine) / 30 * ROWS / 3, 4)
    before, command = noted(machine), ("submit", TASK, file, "--out", out)

    told = producer(machine, *command, "--max-cost", limit)

    assert told.code == 3, told.err
    assert 0.9 * limit <= noted(machine) - before <= limit
    assert paid_by_rows(out) == pytest.approx(noted(machine) - before, abs=1e-3)
    again = producer(machine, *command, "--max-cost", limit)
    assert (again.code, noted(machine) - before <= limit) == (3, True), again.err
    rest = producer(machine, *command)
    assert (rest.code, len(lines(out))) == (0, ROWS), rest.err
    assert (machine.ledger.openai.answered, machine.ledger.openai.surplus) == (ROWS + 30, 0)
    assert sum(line["cost_usd"] for line in lines(out)) == pytest.approx(noted(machine) - before, abs=1e-3)
    assert counted(machine, producer) == pytest.approx(noted(machine), abs=1e-3)


@pytest.mark.long
def test_limit_that_sends_no_row_names_the_smallest_that_does(priced_machine, producer, rows_file, out):
    command = ("submit", TASK, rows_file(meeting("a", turns=1)), "--out", out, "--max-cost")

    told = producer(priced_machine, *command, "0.001")
    least = told.complaints[-1].rpartition(" ")[2]
    again = producer(priced_machine, *command, least)

    assert (told.code, told.complaints[-1].count("not even one row")) == (2, 1), told.err
    assert 0.001 < float(least) < 1
    assert (again.code, len(lines(out))) == (0, 1), again.err


def test_calls_that_orders_did_not_make_are_given_back(machine, producer, rows_file, new_order, out):
    before, orders = machine.ledger.customers.calls, [new_order() for _ in range(12)]

    # Each order can make nine calls, and makes one.
    told = producer(
        machine, "submit", "orders.enrich", rows_file(*orders), "--out", out, "--max-calls", 11 + 9
    )

    assert (told.code, len(lines(out))) == (0, 12), told.err
    assert machine.ledger.customers.calls - before == 12


@pytest.mark.long
def test_calls_under_way_at_a_kill_count_at_the_next_start(
    machine, start, producer, rows_file, new_order, out
):
    before, file = machine.ledger.customers.calls, rows_file(*(new_order() for _ in range(12)))
    command = ("submit", "orders.enrich", str(file), "--out", str(out), "--max-calls", "20")
    machine.control(hold=True)
    killed = start(machine, "-m", "producer", *command)
    assert machine.wait_for_held(2, stretched(30))
    killed.process.kill()
    killed.process.wait()

    # Its rows are other jobs now.
    anew = producer(machine, *command, "--refresh")
    machine.control(hold=False)

    assert anew.code == 3, anew.err
    assert "18 calls are or may be made, 2 are left" in anew.err
    assert machine.ledger.customers.calls - before == 2


@pytest.mark.long
def test_pilot_that_is_repeated_calls_no_further_rows(priced_machine, producer, rows_file, out):
    machine, file = priced_machine, rows_file(*(meeting(token_hex(8), turns=4) for _ in range(30)))
    command = ("submit", TASK, file, "--out", out, "--pilot", "8")

    first, again = producer(machine, *command), producer(machine, *command)
    called = machine.ledger.openai.answered
    rest = producer(machine, *command, "--yes")

    shown = [line for told in (first, again, rest) for line in told.complaints if line.startswith("pilot:")]
    assert (first.code, again.code, called) == (3, 3, 8)
    assert len(set(shown)) == 1, shown
    cost = shown[0].partition("will cost ")[2]
    assert rest.code == 0, rest.err
    assert any(line.startswith("paid: ") and line.endswith(f"estimated: {cost}") for line in rest.complaints)
    assert machine.ledger.openai.answered == 30
