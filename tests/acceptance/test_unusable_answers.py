"""A model whose answers cannot be used: how often it is paid, and what the rows tell of it."""

import pytest

from sandbox.outside.openai_wire import PRICE

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


@pytest.fixture(params=["responses", "chat"])
def machine(new_machine, request):
    """A machine of the test's own: its model's answers are cut in half."""
    machine = new_machine(env={"REAP_INTERVAL": "1", "LLM_API": request.param}, outside={"failure_rate": 0})
    machine.start_worker("-P", "threads", "-c", "4")
    machine.control(llm_malformed_rate=1.0)
    return machine


def test_answer_that_cannot_be_used_is_paid_twice_and_then_the_end(machine, submit, new_meeting):
    meeting = new_meeting()

    told = submit(machine, "meetings.extract", [meeting], "--wait")
    again = submit(machine, "meetings.extract", [meeting], "--wait")

    assert {"kind": "permanent", "reason": "malformed_answer", "attempts": 1} == told.report["error"]
    assert ("negative", "malformed_answer") == (again.report["asked"], again.report["error"]["reason"])
    assert 2 == machine.ledger.openai.calls


#: Their texts decide which answers are cut: the same in every run.
MEETINGS = [{"meeting_id": number, "transcript": f"Ana: We ship version {number}."} for number in range(24)]


def test_row_tells_what_both_calls_cost_where_the_second_is_usable(machine, submit):
    machine.control(llm_malformed_rate=0.5)

    told = submit(machine, "meetings.extract", MEETINGS, "--wait")

    calls = machine.ledger.openai
    assert max(calls.by_content.values()) <= 2
    done = [row for row in told.reports if row["status"] == "done"]
    assert {1} == {row["attempts"] for row in told.reports}
    assert all(row["cost_usd"] == pytest.approx(price(row["usage"])) for row in done)
    once = min(row["usage"]["input_tokens"] for row in done)
    assert any(row["usage"]["input_tokens"] > 1.5 * once for row in done), "some were asked for twice"


def price(usage):
    return (usage["input_tokens"] * PRICE["input"] + usage["output_tokens"] * PRICE["output"]) / 1_000_000
