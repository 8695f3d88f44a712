"""Every number of seconds that a test may wait, stretched by how slow this machine is now.

A deadline only ends a test that would never end by itself. Tests name the seconds of a quiet machine.
"""

import os
import threading
from time import monotonic, perf_counter

import pytest

#: What the fixed work takes on a quiet machine, and how long its measure is good.
_QUIET_SECONDS, _GOOD_FOR_SECONDS = 0.03, 5.0
#: When slowness was measured last, and the result.
_last = (float("-inf"), 1.0)


def slowness():
    """Return how many times slower than a quiet machine this one is; never less than 1."""
    global _last  # noqa: PLW0603  # one machine, one measure
    at, measured = _last
    if monotonic() - at > _GOOD_FOR_SECONDS:
        measured = max(1.0, _seconds_of_fixed_work() / _QUIET_SECONDS)
        _last = monotonic(), measured
    return measured


def stretched(seconds):
    """Return the seconds that a wait of *seconds* on a quiet machine may take on this one."""
    return seconds * slowness()


def eventually(condition, seconds=15.0):
    """Wait until *condition* holds; return what it returned, or fail after the stretched *seconds*."""
    never, began = threading.Event(), monotonic()
    while not (seen := condition()):
        if is_past(began, seconds):
            pytest.fail(f"not within {seconds} s, stretched by {slowness():.1f}: {condition}")
        never.wait(0.01)
    return seen


def is_past(began, seconds):
    """Return whether a wait since *began* is over; slowness is measured only when it may be."""
    spent = monotonic() - began
    return spent > seconds and spent > seconds * max(slowness(), _load())


def _load():
    """Return how many processes want each core: others may get less of it than this process."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def _seconds_of_fixed_work():
    # Long enough to lose the processor several times where others want it too.
    began, total = perf_counter(), 0
    for number in range(600_000):
        total += number * number
    return perf_counter() - began
