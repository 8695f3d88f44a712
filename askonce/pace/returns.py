"""Chooses when parked jobs come back: each at a moment of its own, so that no crowd does."""

from __future__ import annotations

import random
from heapq import heappop, heappush
from typing import Final

#: Jobs come back twice as fast as they can be called, because the pace may get faster; some are parked again.
_EAGER: Final = 0.5
#: The most seconds for one of them, and the least; and those where the pace is not known, or is too far away.
_SLOWEST, _FASTEST, _UNKNOWN = 0.1, 0.001, 0.01
#: Seconds ahead from which on a pace is worth little.
_FAR: Final = 60.0
#: Seconds.
_SHORTEST: Final = 1.0
#: Multiples of it, less their whole parts, lie far apart from each other.
_GOLDEN: Final = 0.618033988749895


class Returns:
    """The times at which the parked jobs of one process come back.

    They are spread over the time that all parked jobs need, whichever process parked them. A line would have
    gaps: jobs that two processes park at once come back together, and are both parked at its end.
    """

    def __init__(self) -> None:
        """Begin with no job."""
        self._times: list[float] = []
        # Not the same in each process.
        self._place = random.random()  # noqa: S311  # spreads jobs, guards nothing

    def parked(self, now: float) -> int:
        """Return how many jobs have not come back."""
        while self._times and self._times[0] <= now:
            heappop(self._times)
        return len(self._times)

    def after(self, now: float, rest: float, interval: float | None, elsewhere: int) -> float:
        """Return the seconds for the next job: after *rest*, among those parked here and *elsewhere*.

        The *interval* is that between two calls of all processes; without one it is still to be found.
        """
        self._place = (self._place + _GOLDEN) % 1.0
        spread = self._place * _seconds_for(self.parked(now) + 1 + elsewhere, interval)
        seconds = max(rest, _SHORTEST) + spread
        heappush(self._times, now + seconds)
        return seconds


def _seconds_for(jobs: int, interval: float | None) -> float:
    each = _UNKNOWN if interval is None else min(max(_EAGER * interval, _FASTEST), _SLOWEST)
    near = min(jobs, _FAR / each)
    return near * each + (jobs - near) * min(each, _UNKNOWN)
