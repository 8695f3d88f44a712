"""Keeps calls off a server that does not answer, so that not every caller waits for its timeout.

    closed ── 3 errors in a row ──► open for 1 s ──► one probe ── answered ──► closed
                                       ▲                 │
                                       └── twice as long, at most 15 s ── error

A probe that never returns blocks no caller: after another rest the next one may try. Calls that skip
``allows`` report their results too; only a probe's error makes the rest longer.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from askonce.events import EventType, Listener, emit, ignore

if TYPE_CHECKING:
    from collections.abc import Callable

#: Errors in a row that open it.
_ERRORS = 3
#: Seconds between two reports of the same refusal: a full server refuses each call.
_REMINDED = 60.0
#: Seconds of the first rest, and of the longest.
_FIRST_REST, _LONGEST_REST = 1.0, 15.0


class Breaker:
    """One server's health as this process sees it; safe for threads."""

    def __init__(self, *, listen: Listener = ignore, clock: Callable[[], float] = time.monotonic) -> None:
        """Start closed; *clock* is in seconds."""
        self.listen, self._clock = listen, clock
        self._lock = Lock()
        #: Errors in a row; 0 while all is well, so that no call needs to report its success.
        self.errors = 0
        #: Seconds between probes; 0 is closed.
        self.rest = 0.0
        self._next_probe, self._probing = 0.0, False
        self._refused_at: dict[str, float] = {}

    @property
    def is_open(self) -> bool:
        """Whether calls are kept off the server."""
        return self.rest > 0

    def allows(self) -> bool:
        """Return whether a call may be made now; while open, True for one caller after each rest."""
        if not self.rest:
            return True
        with self._lock:
            now = self._clock()
            if self.rest and now < self._next_probe:
                return False
            self._next_probe, self._probing = now + self.rest, True
            return True

    def answered(self) -> None:
        """Note that the server answered."""
        if not self.errors:
            return
        with self._lock:
            was_open = self.is_open
            self.errors, self.rest, self._probing = 0, 0.0, False
        if was_open:
            emit(self.listen, EventType.STORE_UP)

    def failed(self) -> None:
        """Note that the server did not answer."""
        with self._lock:
            opens = not self.is_open and self.errors + 1 >= _ERRORS
            if opens:
                self.rest = _FIRST_REST
            elif self._probing:
                self.rest = min(2 * self.rest, _LONGEST_REST)
            if opens or self._probing:
                self._next_probe = self._clock() + self.rest
            self.errors, self._probing = self.errors + 1, False
        if opens:
            emit(self.listen, EventType.STORE_DOWN)

    def refused(self, reason: str, server: str) -> None:
        """Note that the server at this place answered, and refused: callers are not kept off it."""
        with self._lock:
            now = self._clock()
            if now - self._refused_at.get(reason, -_REMINDED) < _REMINDED:
                return
            self._refused_at[reason] = now
        emit(self.listen, EventType.STORE_REFUSED, reason=reason, server=server)
