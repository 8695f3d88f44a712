"""Decides when a store that does not answer is away: until then a crowd is not let through to the call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Patience:
    """How long this process has had no answer from its store."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the store for away after *seconds*."""
        self._seconds, self._clock = seconds, clock
        #: When the store failed first since its last answer.
        self.since: float | None = None

    def holds(self) -> bool:
        """Return whether the store is to be asked again; it has just failed."""
        now = self._clock()
        if self.since is None:
            self.since = now
        return now - self.since < self._seconds

    def answered(self) -> None:
        """Note that the store has answered."""
        self.since = None
