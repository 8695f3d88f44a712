"""The bill of the real meetings: estimated from the counters of the store, and compared with the ledger."""

from pathlib import Path

import pytest

from sandbox.outside import openai_wire
from tests.acceptance.test_real_data import MEETINGS
from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

TASK, MODEL, PRICE = "meetings.full", openai_wire.MODEL, openai_wire.PRICE
#: Eight meetings of 13 tenants are more than a hundred calls.
TENANTS = 13
#: No answer of these seeds is cut.
LIMIT = 32_768


@pytest.fixture
def meetings(real_data):
    return Path(real_data) / "meetings.jsonl"


@pytest.fixture
def busy_machine(new_machine):
    """A machine with a worker; its model reasons for random lengths."""
    machine = new_machine(outside={}, env={"OPENAI_MODEL": MODEL, "LLM_MAX_OUTPUT_TOKENS": str(LIMIT)})
    machine.control(llm_reasoning=1500, llm_reasoning_spread=0.8)
    machine.start_worker("-P", "threads", "-c", "32")
    return machine


def ledger_usd(machine):
    paid = machine.ledger.openai
    return (paid.input_tokens * PRICE["input"] + paid.output_tokens * PRICE["output"]) / 1_000_000


@pytest.mark.long
def test_cost_of_real_meetings_is_within_low_and_high_of_20_seeds(busy_machine, producer, meetings):
    machine, patience = busy_machine, ("--wait", "--timeout", stretched(60))

    def forecast(tenant):
        told = producer(machine, "submit", TASK, meetings, "--tenant", tenant, "--dry-run", "--json")
        assert told.code == 0, told.err
        return told.report

    def run(tenant):
        """Submit all meetings of a tenant; return what they cost."""
        before = ledger_usd(machine)
        told = producer(machine, "submit", TASK, meetings, "--tenant", tenant, *patience)
        assert told.code == 0, told.err
        return ledger_usd(machine) - before

    first = forecast("first")
    assert "a guess" in first["basis"]
    assert first["cost_usd"]["low"] <= run("first") <= first["cost_usd"]["high"]
    for number in range(TENANTS):
        run(f"history-{number}")
    assert machine.ledger.openai.answered >= 100
    for seed in range(20):
        machine.control(seed=seed)
        told, paid = forecast(f"seed-{seed}"), run(f"seed-{seed}")
        cost = told["cost_usd"]
        assert (MEETINGS, 0) == (told["to_call"], told["answered"])
        assert cost["low"] <= paid <= cost["high"] <= 3 * cost["low"], seed
    again = forecast("seed-0")
    assert (0, MEETINGS, 0) == (again["to_call"], again["answered"], again["cost_usd"]["high"])
    assert run("seed-0") == 0
