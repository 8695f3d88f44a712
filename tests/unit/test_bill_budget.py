"""A budget: no order of admitted and settled jobs passes its lines, and none is counted twice."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.bill.budget import Budget
from producer.bill.worst import Worst

LARGE = Worst(6, 1000)


def test_reserve_is_refunded_when_its_job_ends():
    budget = Budget(max_cost=Decimal("0.0015"), max_calls=7)

    assert budget.admit(LARGE)
    assert (budget.cost.reserved, budget.cost.left, budget.calls.left) == (1000, 500, 1)
    assert not budget.admit(LARGE)
    assert not budget.is_exhausted_for(LARGE)

    budget.settle(LARGE, 100, 1)
    assert (budget.cost.spent, budget.cost.reserved, budget.calls.spent) == (100, 0, 1)
    assert budget.admit(LARGE)


def test_job_that_could_just_reach_the_line_is_admitted():
    assert Budget(max_cost=Decimal("0.001"), max_calls=6).admit(LARGE)


def test_refused_job_reserves_nothing_on_either_line():
    budget = Budget(max_cost=Decimal(1), max_calls=5)

    assert not budget.admit(LARGE)

    assert (budget.cost.reserved, budget.calls.reserved) == (0, 0)
    assert budget.is_exhausted_for(LARGE)


def test_unknown_cost_keeps_the_whole_reserve():
    budget = Budget(max_cost=Decimal("0.002"))
    budget.admit(LARGE)

    budget.settle(LARGE, None, 3)

    assert (budget.cost.spent, budget.cost.in_doubt, budget.cost.reserved) == (1000, 1000, 0)


def test_job_of_unknown_price_is_never_admitted_within_dollars():
    unknown = Worst(2, None)

    assert not Budget(max_cost=Decimal(10**6)).admit(unknown)
    assert Budget(max_cost=Decimal(10**6)).is_exhausted_for(unknown)
    assert Budget(max_calls=2).admit(unknown)


@pytest.mark.parametrize(("calls", "spent"), [(1, 9), (None, 9), (0, 0)])
def test_calls_of_other_jobs_count_as_made_unless_there_was_none(calls, spent):
    hidden = Worst(9, None, counted=False)
    budget = Budget(max_calls=20)
    budget.admit(hidden)

    budget.settle(hidden, None, calls)

    assert budget.calls.spent == spent


def test_more_than_the_worst_case_is_counted_and_never_hidden():
    budget = Budget(max_cost=Decimal("0.001"))
    budget.admit(LARGE)

    budget.settle(LARGE, 1200, 1)

    assert (budget.cost.spent, budget.cost.left) == (1200, -200)
    assert not budget.admit(Worst(0, 0))


def test_no_limit_admits_everything():
    budget = Budget()

    assert all(budget.admit(Worst(10**9, None)) for _ in range(3))
    assert not budget.is_exhausted_for(Worst(1, 1))


@pytest.mark.parametrize("dollars", ["0", "-1", "NaN", "Infinity", "0.0000009"])
def test_limit_that_allows_no_cost_is_refused_by_name(dollars):
    with pytest.raises(ValueError, match=r"^max_cost must be "):
        Budget(max_cost=Decimal(dollars))


@pytest.mark.parametrize("calls", [0, -1])
def test_limit_that_allows_no_call_is_refused_by_name(calls):
    with pytest.raises(ValueError, match=r"^max_calls must be "):
        Budget(max_calls=calls)


JOBS = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 12), st.floats(0, 1), st.booleans()), max_size=60
)


@given(
    jobs=JOBS,
    limit=st.integers(1, 5 * 10**6),
    calls=st.integers(1, 80),
    order=st.randoms(use_true_random=False),
)
def test_no_order_of_ends_passes_a_line(jobs, limit, calls, order):
    budget = Budget(max_cost=Decimal(limit) / 1_000_000, max_calls=calls)
    running, paid, made = [], 0, 0

    def end_one():
        nonlocal paid, made
        worst, share, is_known = running.pop(order.randrange(len(running)))
        cost, count = int(worst.micro_usd * share), int(worst.calls * share)
        paid, made = paid + cost, made + count
        budget.settle(worst, cost if is_known else None, count if is_known else None)

    for micros, most, share, is_known in jobs:
        worst = Worst(most, micros)
        if budget.admit(worst):
            running.append((worst, share, is_known))
        assert budget.cost.spent + budget.cost.reserved <= limit
        assert budget.calls.spent + budget.calls.reserved <= calls
        while running and order.random() < 0.4:
            end_one()
    while running:
        end_one()

    assert paid <= budget.cost.spent <= limit
    assert made <= budget.calls.spent <= calls
    assert (budget.cost.reserved, budget.calls.reserved) == (0, 0)


def test_line_is_nearly_spent_where_jobs_cost_less_than_their_worst_case():
    """Jobs of three times the line, each of which may cost 30 times its average."""
    budget, worst, paid = Budget(max_cost=Decimal(1)), Worst(6, 30_000), 0
    running = 0
    while True:
        while budget.admit(worst):
            running += 1
        if not running:
            break
        budget.settle(worst, 1000, 1)
        running, paid = running - 1, paid + 1000

    assert budget.is_exhausted_for(worst)
    assert 900_000 <= paid == budget.cost.spent <= 1_000_000
