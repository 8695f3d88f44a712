"""The bill of the real meetings: estimated from the counters of the store, and compared with the ledger."""

import json
from pathlib import Path

import pytest

from producer.bill.meter import Meter
from sandbox.outside import openai_wire
from settings.environment import Settings
from settings.prices import ModelPrice
from tests.deadlines import stretched
from tests.records import open_records

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
    machine, rows = busy_machine, [json.loads(line) for line in meetings.read_text("utf-8").splitlines()]
    store = open_records(machine.valkey.url, "jobs")
    prices = {MODEL: ModelPrice(input=PRICE["input"], output=PRICE["output"])}
    own = {"openai_base_url": f"{machine.outside.url}/v1", "llm_prices": prices}
    settings = Settings(_env_file=None, openai_model=MODEL, llm_max_output_tokens=LIMIT, **own)

    def run(tenant):
        """Submit all meetings of a tenant; return the estimate before, and what they cost."""
        meter, before = Meter(TASK, settings, store.tally.totals()), ledger_usd(machine)
        for row in rows:
            meter.add(row)
        told = producer(
            machine, "submit", TASK, meetings, "--tenant", tenant, "--wait", "--timeout", stretched(60)
        )
        assert told.code == 0, told.err
        return meter.estimate(), ledger_usd(machine) - before

    first, paid = run("first")
    assert "a guess" in first.basis
    assert first.cost_usd.low <= paid <= first.cost_usd.high
    for number in range(TENANTS):
        run(f"history-{number}")
    for seed in range(20):
        machine.control(seed=seed)
        estimate, paid = run(f"seed-{seed}")
        cost = estimate.cost_usd
        assert cost.low <= paid <= cost.high, seed
        assert cost.high <= 3 * cost.low
    assert run("seed-0")[1] == 0
    store.close()
