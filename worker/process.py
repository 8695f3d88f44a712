"""Builds something once in each process, at its first use: sockets must not cross a fork."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class PerProcess(Generic[_T]):
    """One object for each process."""

    def __init__(self, build: Callable[[], _T]) -> None:
        """Build the object with *build*."""
        self._build = build
        self._built: _T | None = None
        self._lock = Lock()
        os.register_at_fork(after_in_child=self._forget)

    def get(self) -> _T:
        """Return this process's object."""
        if self._built is None:
            with self._lock:
                self._built = self._built or self._build()
        return self._built

    def _forget(self) -> None:
        # A child must not wait for a lock that another thread of its parent held.
        self._built, self._lock = None, Lock()
