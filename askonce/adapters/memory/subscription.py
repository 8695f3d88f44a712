"""Wakes those who wait for a job of a memory store."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Condition


class MemorySubscription:
    """Wake-ups through the store's own condition."""

    def __init__(self, changed: Condition, ended: dict[str, int], keys: frozenset[str]) -> None:
        """Listen for *keys* in *ended*, which numbers each key's last end, from now on."""
        self._changed, self._ended, self._keys = changed, ended, keys
        self._seen = max(ended.values(), default=0)

    def wait(self, timeout: float) -> frozenset[str]:
        """Return the keys heard of within *timeout* seconds."""
        with self._changed:
            self._changed.wait_for(self._heard, timeout)
            heard = self._heard()
            self._seen = max(self._ended.values(), default=0)
            return heard

    def _heard(self) -> frozenset[str]:
        return frozenset(key for key in self._keys if self._ended.get(key, 0) > self._seen)
