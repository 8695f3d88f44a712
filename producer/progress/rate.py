"""Says how fast rows end now, and how long the others take at that pace."""

from __future__ import annotations

from collections import deque
from typing import Final

#: Seconds that count: a resumed run skips thousands of rows at once, and a provider that rests says nothing
#: of the pace before.
_WINDOW: Final = 60.0
#: Seconds between two samples; they bound the memory.
_SAMPLE_EVERY: Final = 1.0
#: A pace is unknown before these seconds, and before these rows or the longer time.
_LEAST_SECONDS: Final = 3.0
_LEAST_ROWS: Final = 5
_LONG_ENOUGH: Final = 30.0


class Rate:
    """The rows that end in a second, over the last minute."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def look(self, now: float, ended: int) -> float | None:
        """Return the rate at *now*, with *ended* rows since the start; None while it is unknown."""
        samples = self._samples
        if not samples or now - samples[-1][0] >= _SAMPLE_EVERY:
            samples.append((now, ended))
        # The oldest sample is the last one that is a whole window ago, so that the window is full.
        while len(samples) > 1 and now - samples[1][0] >= _WINDOW:
            samples.popleft()
        seconds, rows = now - samples[0][0], ended - samples[0][1]
        if seconds < _LEAST_SECONDS or (rows < _LEAST_ROWS and seconds < _LONG_ENOUGH):
            return None
        return rows / seconds


def seconds_left(rate: float | None, total: int | None, finished: int) -> float | None:
    """Return how long the rest of *total* takes at *rate*; None where that is unknown."""
    if not rate or total is None:
        return None
    return max(0, total - finished) / rate
