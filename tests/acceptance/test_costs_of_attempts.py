"""What a row tells that its job cost: all attempts, with real workers and a service that fails in between."""

import pytest

from sandbox.machine import ROOT
from sandbox.outside.openai_wire import PRICE

pytestmark = pytest.mark.acceptance

#: A paid answer that cannot be used, a refusal that is not paid, and an error that may have been paid.
UNUSABLE, REFUSED, IN_DOUBT = "200_prose", "409", "500_openai"


@pytest.fixture
def machine(new_machine):
    machine = new_machine(
        env={"REAP_INTERVAL": "1"}, outside={"failure_rate": 0, "answers": ROOT / "tests" / "answers.jsonl"}
    )
    machine.start_worker("-P", "threads", "-c", "4")
    return machine


@pytest.fixture
def ask(machine, submit, new_meeting):
    """Ask for a meeting to which the service replies so; return the row's report, and the meeting."""

    def run(*replies):
        meeting = new_meeting()
        marker = meeting["transcript"].partition(".")[0]
        machine.control(script={marker: list(replies)})
        return submit(machine, "meetings.extract", [meeting], "--wait").report, meeting

    return run


def paid(machine):
    """What the service noted of the calls that it answered."""
    calls = machine.ledger.openai
    usage = {"input_tokens": calls.input_tokens, "output_tokens": calls.output_tokens}
    return usage, price(usage)


def price(usage):
    return (usage["input_tokens"] * PRICE["input"] + usage["output_tokens"] * PRICE["output"]) / 1_000_000


def tokens(row):
    return {name: row["usage"][name] for name in ("input_tokens", "output_tokens")}


@pytest.mark.long
def test_row_that_is_done_tells_what_all_attempts_cost(machine, ask):
    row, _ = ask(UNUSABLE, REFUSED)

    usage, cost = paid(machine)
    assert ("done", 2, 3) == (row["status"], row["attempts"], machine.ledger.openai.calls)
    assert (tokens(row), row["cost_usd"]) == (usage, pytest.approx(cost))
    assert row["age"] >= 0


@pytest.mark.long
def test_row_that_failed_tells_what_all_attempts_cost(machine, ask, submit, producer):
    row, meeting = ask(UNUSABLE, REFUSED, UNUSABLE)
    again = submit(machine, "meetings.extract", [meeting], "--wait").report
    told = producer(machine, "result", row["key"])

    usage, cost = paid(machine)
    assert {"kind": "permanent", "reason": "malformed_answer", "attempts": 2} == row["error"]
    assert ("failed", 2, 3) == (row["status"], row["attempts"], machine.ledger.openai.calls)
    assert (tokens(row), row["cost_usd"]) == (usage, pytest.approx(cost))
    assert ("negative", 0, {}, row["cost_usd"], 2) == (
        again["status"],
        again["cost_usd"],
        again["usage"],
        again["avoided_usd"],
        again["attempts"],
    )
    assert f"malformed_answer: cost_usd={row['cost_usd']:.6f}".rstrip("0") in told.err


@pytest.mark.long
def test_row_tells_no_cost_where_an_attempt_may_have_been_paid(ask):
    row, _ = ask(UNUSABLE, IN_DOUBT)

    assert ("done", 2, None, {}) == (row["status"], row["attempts"], row["cost_usd"], row["usage"])
