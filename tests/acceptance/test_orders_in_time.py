"""A customer service that fails: each order is answered soon, with what is known."""

from pathlib import Path

import pytest

from tests.deadlines import stretched

pytestmark = pytest.mark.acceptance

TIMED = str(Path(__file__).with_name("timed_orders.py"))
#: The share of look-ups that get 503, and the sources of the answers.
FAILING = {"one in ten": (0.1, {"call", "default"}), "all": (1.0, {"default"})}


@pytest.mark.parametrize("share", ["all", pytest.param("one in ten", marks=pytest.mark.long)])
def test_order_is_answered_in_two_seconds_while_look_ups_fail(new_machine, customers, start, share):
    rate, sources = FAILING[share]
    machine = new_machine(outside={"customers": customers, "failure_rate": rate})
    machine.start_worker("-P", "threads", "-c", "16")

    told = start(machine, TIMED, "100", PYTHONPATH=".").finish().reports

    assert 100 == len(told)
    assert {each["source"] for each in told} <= sources
    assert max(each["seconds"] for each in told) < stretched(2)
    refused = machine.ledger.customers.refused
    assert 5 <= refused <= 3 * 100
