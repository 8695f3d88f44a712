"""Wakes those who wait for a job of a memory store."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Condition


class MemorySubscription:
    """Wake-ups through the store's own condition."""

    def __init__(self, changed: Condition, ended: list[str], keys: frozenset[str]) -> None:
        """Listen for *keys* in *ended*, from now on."""
        self._changed, self._ended, self._keys, self._seen = changed, ended, keys, len(ended)

    def wait(self, timeout: float) -> frozenset[str]:
        """Return the keys heard of within *timeout* seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._keys.isdisjoint(self._ended[self._seen :]), timeout)
            heard = self._keys.intersection(self._ended[self._seen :])
            self._seen = len(self._ended)
            return heard
