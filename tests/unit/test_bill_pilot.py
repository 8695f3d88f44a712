"""A pilot: what its rows say of the others."""

from __future__ import annotations

import random
from math import exp

import pytest

from producer.bill.estimate import Range
from producer.bill.pilot import Pilot

pytestmark = pytest.mark.long

ROWS, PILOT = 2000, 100


def reasoning(rng, spread):
    return 1500 * rng.lognormvariate(0, spread)


TAILS = {
    "narrow": lambda rng: reasoning(rng, 0.5),
    "heavy": lambda rng: reasoning(rng, 1.0),
    "heavier": lambda rng: reasoning(rng, 1.3),
    "cut at a limit": lambda rng: min(reasoning(rng, 1.5), 8192),
    "few very long": lambda rng: 20_000 if rng.random() < 0.05 else 500,
    "a power": lambda rng: min(1000 * rng.paretovariate(1.8), 60_000),
    "always the same": lambda _rng: 1000,
}


def run(rng, tail):
    """Return size and cost of each row: input by its size, a short answer, and the reasoning."""
    sizes = [int(rng.lognormvariate(9, 0.6)) for _ in range(ROWS)]
    return [(size, (size / 4 + 4 * (300 + int(tail(rng)))) / 1_000_000) for size in sizes]


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("first", [0, 20, 40])
def test_final_cost_is_inside_in_19_of_20_runs(tail, first):
    inside = 0
    for seed in range(first, first + 20):
        rows, pilot = run(random.Random(seed), TAILS[tail]), Pilot()
        for size, cost in rows[:PILOT]:
            pilot.add(cost, size)

        rest = pilot.interval95(ROWS - PILOT, sum(size for size, _ in rows[PILOT:]))

        whole = sum(cost for _, cost in rows) - pilot.paid_usd
        inside += rest.low - 1e-9 <= whole <= rest.high + 1e-9

    assert inside >= 19


@pytest.mark.parametrize("tail", ["narrow", "heavy", "cut at a limit"])
def test_interval_is_narrow_enough_to_decide_by(tail):
    for seed in range(20):
        rows, pilot = run(random.Random(seed), TAILS[tail]), Pilot()
        for size, cost in rows[:PILOT]:
            pilot.add(cost, size)

        rest = pilot.interval95(ROWS - PILOT, sum(size for size, _ in rows[PILOT:]))

        assert rest.low <= rest.expected <= rest.high <= 3 * rest.low


def test_pilot_of_short_rows_predicts_long_ones():
    pilot, rng = Pilot(), random.Random(1)
    for _ in range(PILOT):
        size = rng.randrange(1000, 5000)
        pilot.add(size / 4_000_000, size)

    assert pilot.interval95(10, 10 * 40_000) == pytest.approx((0.1, 0.1, 0.1))


def test_longer_rows_are_never_predicted_to_cost_less():
    pilot = Pilot()
    for size in range(1000, 11_000, 100):
        pilot.add(0.02 - size / 1_000_000, size)

    assert pilot.interval95(10, 10 * 100_000).expected == pytest.approx(10 * 0.02 - 10 * 0.00595, rel=0.01)


def test_row_of_unknown_cost_makes_the_interval_unknown():
    pilot = Pilot()
    for _ in range(10):
        pilot.add(0.001, 100)
    pilot.add(None, 100)

    assert (pilot.interval95(10, 1000), pilot.paid_usd, pilot.rows) == (None, None, 11)


@pytest.mark.parametrize(("rows", "is_known"), [(0, False), (4, False), (5, True)])
def test_few_rows_say_nothing_of_the_others(rows, is_known):
    pilot = Pilot()
    for number in range(rows):
        pilot.add(0.001 * (1 + number), 100)

    assert (pilot.interval95(10, 1000) is not None) == is_known


def test_no_row_is_left_and_costs_nothing():
    pilot = Pilot()
    for number in range(20):
        pilot.add(0.001, number)

    assert pilot.interval95(0, 0) == Range(0.0, 0.0, 0.0)


def test_interval_never_falls_below_zero():
    pilot, rng = Pilot(), random.Random(3)
    for _ in range(6):
        pilot.add(exp(rng.gauss(0, 2)), 100)

    assert pilot.interval95(100, 10_000).low >= 0
