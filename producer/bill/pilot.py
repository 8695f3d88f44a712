"""Predicts what the rest of a run will cost from its first rows, with a 95 % interval.

The cost of a row is a line over its size, fitted by least squares to the rows of the pilot, plus a rest that
is random: the length of the answer and of its reasoning. Where the size says nothing, it is the average.

Reasoning lengths have heavy tails: few rows cost many times the average, and a pilot of 100 may have none of
them. Student's t at 95 % suits a normal rest; here it covers 80 to 90 % of runs only. So t is taken at 98 %.
The upper end is built as if one row more had been seen, twice as far above the line as the farthest one, and
with Chen's correction for skewed samples (1995). Where the logarithm of the length is normal with a deviation
of 0.5 to 1.6, that covers 97 to 99 % of runs.

The rows of the pilot stand for the others. Where a file is sorted by anything but size, take a sample.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import Final

from producer.bill.estimate import Range

#: Fewer rows say nothing of the others.
FEWEST: Final = 5
_QUANTILE: Final = NormalDist().inv_cdf(0.99)
#: How far above the line the row is that was not seen, in distances of the farthest one.
_UNSEEN: Final = 2.0


class Pilot:
    """The rows that were called first."""

    def __init__(self) -> None:
        """Begin without rows."""
        self._rows: list[tuple[float, float]] = []
        self._unknown = 0

    @property
    def rows(self) -> int:
        """How many rows were called."""
        return len(self._rows) + self._unknown

    @property
    def paid_usd(self) -> float | None:
        """What they cost; None where one of them has an unknown cost."""
        return None if self._unknown else sum(cost for _, cost in self._rows)

    def add(self, cost_usd: float | None, size: int) -> None:
        """Add a row that was called, with its cost and its *size* in bytes."""
        if cost_usd is None:
            self._unknown += 1
        else:
            self._rows.append((float(size), cost_usd))

    def interval95(self, rows: int, size: int) -> Range | None:
        """Return what *rows* more with a *size* of so many bytes together will cost; without the pilot's own.

        None where the pilot has fewer than 5 rows, or one of an unknown cost.
        """
        if self._unknown or len(self._rows) < FEWEST:
            return None
        if not rows:
            return Range(0.0, 0.0, 0.0)
        return _predicted(self._rows, rows, size / rows)


def _predicted(seen: list[tuple[float, float]], rows: int, size: float) -> Range:
    count = len(seen)
    middle, average = sum(s for s, _ in seen) / count, sum(c for _, c in seen) / count
    spread = sum((s - middle) ** 2 for s, _ in seen)
    slope = sum((s - middle) * (c - average) for s, c in seen) / spread if spread else 0.0
    # A longer row does not cost less.
    slope, leverage = (slope, (size - middle) ** 2 / spread) if slope > 0 else (0.0, 0.0)
    rests = [cost - average - slope * (each - middle) for each, cost in seen]
    expected = max(0.0, rows * (average + slope * (size - middle)))
    # Of the sum: the line may be wrong for all rows alike, and each row has a rest of its own.
    wide = sqrt(rows * rows * (1 / count + leverage) + rows)
    t = _student_t(count - 2)
    low = expected - t * wide * _deviation(rests)
    more = [*rests, _UNSEEN * max(rests)]
    deviation = _deviation(more)
    skewness = max(0.0, _skewness(more, deviation)) / (6 * sqrt(count))
    high = expected + wide * deviation * (t + skewness * (1 + 2 * t * t))
    return Range(max(0.0, low), expected, high)


def _deviation(rests: list[float]) -> float:
    mean = sum(rests) / len(rests)
    return sqrt(sum((rest - mean) ** 2 for rest in rests) / (len(rests) - 2))


def _skewness(rests: list[float], deviation: float) -> float:
    mean = sum(rests) / len(rests)
    return sum((rest - mean) ** 3 for rest in rests) / len(rests) / deviation**3 if deviation else 0.0


def _student_t(freedom: int) -> float:
    """Return the quantile of Student's t (Abramowitz and Stegun 26.7.5)."""
    z, v = _QUANTILE, freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )
