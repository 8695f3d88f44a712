"""A budget: no order of admitted and settled jobs passes its lines, and none is counted twice."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.bill.budget import Budget
from producer.bill.meter import Meter
from producer.bill.worst import Worst
from settings.environment import Settings
from settings.prices import ModelPrice

pytestmark = pytest.mark.long

LARGE = Worst(6, 1000)


def test_reserve_is_refunded_when_its_job_ends():
    budget = Budget(max_cost=Decimal("0.0015"), max_calls=7)

    assert budget.admit(LARGE)
    assert (budget.cost.reserved, budget.cost.left, budget.calls.left) == (1000, 500, 1)
    assert not budget.admit(LARGE)

    budget.settle(LARGE, 100, 1)
    assert (budget.cost.spent, budget.cost.reserved, budget.calls.spent) == (100, 0, 1)
    assert budget.admit(LARGE)


def test_job_that_could_just_reach_the_line_is_admitted():
    assert Budget(max_cost=Decimal("0.001"), max_calls=6).admit(LARGE)


def test_refused_job_reserves_nothing_on_either_line():
    budget = Budget(max_cost=Decimal(1), max_calls=5)

    assert not budget.admit(LARGE)

    assert (budget.cost.reserved, budget.calls.reserved) == (0, 0)


def test_unknown_cost_keeps_the_whole_reserve():
    budget = Budget(max_cost=Decimal("0.002"))
    budget.admit(LARGE)

    budget.settle(LARGE, None, 3)

    assert (budget.cost.spent, budget.cost.in_doubt, budget.cost.reserved) == (1000, 1000, 0)


def test_job_of_unknown_price_is_never_admitted_within_dollars():
    unknown = Worst(2, None)

    assert not Budget(max_cost=Decimal(10**6)).admit(unknown)
    assert Budget(max_calls=2).admit(unknown)


def test_more_than_the_worst_case_is_counted_and_never_hidden():
    budget = Budget(max_cost=Decimal("0.001"))
    budget.admit(LARGE)

    budget.settle(LARGE, 1200, 1)

    assert (budget.cost.spent, budget.cost.left) == (1200, -200)
    assert not budget.admit(Worst(0, 0))


def test_earlier_part_of_a_run_counts_when_the_run_goes_on():
    budget = Budget(max_cost=Decimal("0.0015"), max_calls=20)

    budget.reserve(LARGE)
    budget.settle(LARGE, 600, 3)

    assert (budget.cost.left, budget.calls.left) == (900, 17)
    assert not budget.admit(LARGE)


@pytest.mark.parametrize(
    ("limits", "is_too_small"),
    [
        ({"max_cost": Decimal("0.000999")}, True),
        ({"max_cost": Decimal("0.001")}, False),
        ({"max_calls": 5}, True),
        ({"max_calls": 6, "max_cost": Decimal(1)}, False),
        ({}, False),
    ],
)
def test_limit_below_one_job_is_too_small(limits, is_too_small):
    assert Budget(**limits).is_too_small_for(LARGE) is is_too_small


def test_limit_of_which_a_part_is_spent_is_not_too_small():
    budget = Budget(max_calls=7)
    budget.settle(Worst(0, 0), 0, 2)

    assert not budget.is_too_small_for(LARGE)


def test_no_limit_admits_everything():
    budget = Budget()

    assert all(budget.admit(Worst(10**9, None)) for _ in range(3))


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


def settings():
    prices = {"gpt-6-luna": ModelPrice(input=1, output=4)}
    own = {"openai_base_url": "http://127.0.0.1:1/v1", "llm_prices": prices}
    return Settings(_env_file=None, llm_max_output_tokens=8192, **own)


def jobs_of(rng, meter):
    """Return the worst case and the cost in millionths of a dollar of 2,000 meetings; reasoning is random."""
    jobs = []
    for _ in range(2000):
        row = {"meeting_id": "m", "transcript": "a" * rng.randrange(2_000, 20_000)}
        read = meter.size(row) // 4
        written = min(8192, 300 + int(1000 * rng.lognormvariate(0, 1)))
        # One in fifty answers cannot be used, and is paid a second time.
        jobs.append((meter.worst_case(row), (read + 4 * written) * (2 if rng.random() < 0.02 else 1)))
    return jobs


@pytest.mark.parametrize("seed", range(20))
def test_third_of_a_job_is_spent_to_nine_tenths_and_never_passed(seed):
    rng = random.Random(seed)
    jobs = jobs_of(rng, Meter("meetings.extract", settings()))
    limit = sum(cost for _, cost in jobs) // 3
    budget, waiting, running = Budget(max_cost=Decimal(limit) / 1_000_000), iter(jobs), []
    job, paid = next(waiting), 0

    while True:
        if len(running) < 200 and budget.admit(job[0]):
            running.append(job)
            job = next(waiting)
        elif not running:
            break
        else:
            worst, cost = running.pop(rng.randrange(len(running)))
            budget.settle(worst, cost, 1)
            paid += cost

    assert 0.9 * limit <= paid == budget.cost.spent <= limit
