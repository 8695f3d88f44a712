"""What a person reads of a bill."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from producer.bill.budget import Budget
from producer.bill.estimate import Estimate, Range
from producer.bill.words import lines_of, paid_of, stopped_by, too_small
from producer.bill.worst import Worst

ESTIMATE = Estimate(
    rows=1200,
    calls=Range(1200, 1204, 1325),
    input_tokens=Range(900_000, 1_200_000, 2_400_000),
    output_tokens=Range(10, 20, 34),
    cost_usd=Range(0.12, 0.18, 0.33),
    basis="from 1,204 calls of this task and model",
)


def test_lines_of_a_dry_run_have_low_expected_and_high():
    assert lines_of(ESTIMATE) == [
        "calls: 1,204 (1,200 to 1,325)",
        "input tokens: 1,200,000 (900,000 to 2,400,000)",
        "output tokens: 20 (10 to 34)",
        "cost: $0.1800 ($0.1200 to $0.3300)",
        "basis: from 1,204 calls of this task and model",
    ]


def test_unknown_cost_is_called_unknown():
    unknown = replace(ESTIMATE, input_tokens=None, output_tokens=None, cost_usd=None)

    assert lines_of(unknown)[1] == "cost: unknown"
    assert paid_of(None, None) == "paid: unknown; estimated: unknown"


def test_last_line_compares_paid_and_estimated():
    line = paid_of(ESTIMATE.cost_usd, 0.21)

    assert line == "paid: $0.2100; estimated: $0.1800 ($0.1200 to $0.3300)"


@pytest.mark.parametrize(
    ("paid", "line"),
    [
        (900_000, "$0.9000 is spent, $0.1000 is left; the next row can cost $1.00"),
        (None, "$1.00 is spent ($1.00 in doubt), $0.00 is left; the next row can cost $1.00"),
    ],
)
def test_budget_at_its_end_shows_what_is_spent_left_and_needed(paid, line):
    worst, budget = Worst(6, 1_000_000), Budget(max_cost=Decimal(1))
    budget.admit(worst)
    budget.settle(worst, paid, 1)

    assert stopped_by(budget, worst) == line


def test_budget_that_is_below_one_row_says_what_the_row_can_cost():
    line = stopped_by(Budget(max_cost=Decimal("0.01")), Worst(6, 132_096))

    assert line == "$0.00 is spent, $0.0100 is left; the next row can cost $0.1321"


def test_budget_of_calls_shows_what_is_made_left_and_needed():
    worst, budget = Worst(6, None), Budget(max_calls=2000)
    budget.admit(worst)
    budget.settle(worst, None, 1996)

    assert stopped_by(budget, worst) == "1,996 calls are or may be made, 4 are left; the next row can make 6"


def test_nothing_is_left_of_a_limit_that_is_lower_than_what_earlier_starts_spent():
    worst, budget = Worst(6, 132_096), Budget(max_cost=Decimal("0.2"), max_calls=5)
    budget.settle(Worst(0, 0), 334_090, 136)

    assert stopped_by(budget, worst) == (
        "$0.3341 is spent, $0.00 is left; the next row can cost $0.1321."
        " 136 calls are or may be made, 0 are left; the next row can make 6"
    )


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_cost": Decimal("0.01")}, "--max-cost 0.132096"),
        ({"max_calls": 5}, "--max-calls 6"),
        ({"max_cost": Decimal("0.01"), "max_calls": 5}, "--max-cost 0.132096 and --max-calls 6"),
    ],
)
def test_limit_that_sends_nothing_names_the_smallest_that_does_with_all_digits(limits, words):
    line = too_small(Budget(**limits), 7, Worst(6, 132_096))

    assert line == f"it sends not even one row: what row 7 can cost needs at least {words}"
