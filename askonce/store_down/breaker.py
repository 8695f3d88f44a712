"""Keeps calls off a store that does not answer, so that its silence is paid for once and not by each caller.

    closed ── 3 errors in a row ──► open for 1 s ──► one probe ── answered ──► closed
                                       ▲                 │
                                       └── twice as long, at most 15 s ── error

A probe that never comes back holds nobody up: after another rest the next one may try. Calls that do not ask
(``allows``) may tell what they met; only a probe's error makes the rest longer.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from askonce.events import Event, Listener, ignore

if TYPE_CHECKING:
    from collections.abc import Callable

#: Errors in a row that open it.
ERRORS = 3
#: Seconds of the first rest, and of the longest.
FIRST_REST, LONGEST_REST = 1.0, 15.0


class Breaker:
    """One store's health as its callers in this process see it; safe for threads."""

    def __init__(self, *, listen: Listener = ignore, clock: Callable[[], float] = time.monotonic) -> None:
        """Start closed; *clock* is in seconds."""
        self._listen, self._clock = listen, clock
        self._lock = Lock()
        self._errors = 0
        #: Seconds between probes; 0 is closed.
        self._rest = 0.0
        self._next_probe, self._probing = 0.0, False

    @property
    def is_open(self) -> bool:
        """Whether calls are kept off the store."""
        return self._rest > 0

    def allows(self) -> bool:
        """Tell whether a call may be made now; while open, true for one caller after each rest."""
        if not self._rest:
            return True
        with self._lock:
            now = self._clock()
            if self._rest and now < self._next_probe:
                return False
            self._next_probe, self._probing = now + self._rest, True
            return True

    def answered(self) -> None:
        """Hear that the store answered, whoever asked it."""
        # Every call comes here, so nothing is locked while all is well.
        if not self._errors:
            return
        with self._lock:
            was_open = self.is_open
            self._errors, self._rest, self._probing = 0, 0.0, False
        if was_open:
            self._listen(Event(name="store.up"))

    def failed(self) -> None:
        """Hear that the store did not answer, whoever asked it."""
        with self._lock:
            opens = not self.is_open and self._errors + 1 >= ERRORS
            if opens:
                self._rest = FIRST_REST
            elif self._probing:
                self._rest = min(2 * self._rest, LONGEST_REST)
            if opens or self._probing:
                self._next_probe = self._clock() + self._rest
            self._errors, self._probing = self._errors + 1, False
        if opens:
            self._listen(Event(name="store.down"))
