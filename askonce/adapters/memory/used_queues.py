"""Keeps the queues in use of the store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.used_queues import QUEUES_KEPT, USE_KEPT, is_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from threading import Condition


class MemoryUsedQueues:
    """The queues in use of one store."""

    def __init__(self, changed: Condition, now: Callable[[], float]) -> None:
        """Begin without queues; *changed* is the store's lock."""
        self._changed, self._now = changed, now
        self._used_at: dict[str, float] = {}

    def note(self, queues: Iterable[str]) -> None:
        """Queues are in use now; those that were used longest ago make room."""
        with self._changed:
            self._used_at |= dict.fromkeys(filter(is_queue, queues), self._now())
            if len(self._used_at) > QUEUES_KEPT:
                latest = sorted(self._used_at, key=lambda name: (self._used_at[name], name))[-QUEUES_KEPT:]
                self._used_at = {name: self._used_at[name] for name in latest}

    def ages(self) -> dict[str, float]:
        """Return the queues in use, each with for how many seconds it was not used."""
        with self._changed:
            ages = {name: max(self._now() - at, 0.0) for name, at in self._used_at.items()}
        return {name: age for name, age in ages.items() if age < USE_KEPT}
