"""How many calls a process wants at once: the most in the last second or so, not those of one moment."""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

#: Seconds of one window. A process without a call for two of them wants none.
_WINDOW: Final = 0.5


class Load(NamedTuple):
    """What a process has to do with its provider now."""

    #: Calls under way, and how many it wants to have under way at once.
    open: int
    wanted: int
    #: Jobs that it parked, and that have not come back.
    parked: int


class Demand:
    """The demand of one process.

    A process that makes one call after the other has none at the very moment at which it reports how the last
    one ended. The others would then take its share too.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._began = -inf
        self._before = self._most = 0

    def seen(self, now: float, wanted: int) -> int:
        """Note how many calls are *wanted* at *now*; return the most in this window and the one before it."""
        if now - self._began >= _WINDOW:
            self._before = self._most if now - self._began < 2 * _WINDOW else 0
            self._most, self._began = 0, now
        self._most = max(self._most, wanted)
        return max(self._before, self._most)
