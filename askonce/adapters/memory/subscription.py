"""What a memory store tells: wake-ups for finished jobs, and the keys of invalidated answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from askonce.job import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from threading import Condition


class MemorySubscription:
    """Wake-ups through the store's own condition."""

    def __init__(self, changed: Condition, ended: dict[Key, int], keys: Iterable[Key]) -> None:
        """Listen for *keys* in *ended*, which numbers each key's last end, from now on."""
        self._changed, self._ended, self._keys = changed, ended, set(keys)
        self._seen = max(ended.values(), default=0)
        self._rung = False

    def add(self, keys: Iterable[Key]) -> None:
        """Listen for *keys* too."""
        with self._changed:
            self._keys.update(keys)

    def leave(self, keys: Iterable[Key]) -> None:
        """Listen for *keys* no more."""
        with self._changed:
            self._keys.difference_update(keys)

    def wait(self, timeout: float) -> frozenset[Key]:
        """Return the keys whose wake-up came within *timeout* seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._rung or self._woken(), timeout)
            self._rung, woken = False, self._woken()
            self._seen = max(self._ended.values(), default=0)
            return woken

    def bell(self) -> Callable[[], None]:
        """Return a function that ends a wait."""
        return self._ring

    def _ring(self) -> None:
        with self._changed:
            self._rung = True
            self._changed.notify_all()

    def _woken(self) -> frozenset[Key]:
        return frozenset(key for key in self._keys if self._ended.get(key, 0) > self._seen)


class MemoryInvalidations:
    """Keys of invalidated answers, through the store's own condition; a context manager."""

    def __init__(self, changed: Condition, hearing: list[set[Key | None]]) -> None:
        """Listen, once it is entered, for what the store adds to each set in *hearing*."""
        self._changed, self._hearing = changed, hearing
        self.keys = set[Key | None]()

    def __enter__(self) -> Self:
        """Listen from now on."""
        with self._changed:
            self._hearing.append(self.keys)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        with self._changed:
            # By identity: two that heard the same are equal.
            self._hearing[:] = [each for each in self._hearing if each is not self.keys]

    def wait(self, timeout: float) -> frozenset[Key] | None:
        """Return the keys that came within *timeout* seconds; None where any may have."""
        with self._changed:
            self._changed.wait_for(lambda: self.keys, timeout)
            came = frozenset(key for key in self.keys if key is not None)
            is_any = None in self.keys
            self.keys.clear()
            return None if is_any else came
