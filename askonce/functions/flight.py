"""The calls that this process makes or waits for, each once: its other callers share the end."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Lock

from askonce.functions.found import Found, Raised

#: None: the end concerned its own caller only, so that the others must ask again.
End = Future[Found | Raised | None]


class Flights:
    """Flights by the ids of their jobs; safe for threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ends: dict[str, End] = {}
        self._lock = Lock()

    def join(self, job: str) -> tuple[End, bool]:
        """Return the end of the flight of *job*, and whether the caller is the first and must bring it."""
        with self._lock:
            end = self._ends.get(job)
            if end is not None:
                return end, False
            end = self._ends[job] = Future()
            return end, True

    def leave(self, job: str, end: End) -> None:
        """Take a flight out that is over; without an end, its callers ask again."""
        with self._lock:
            self._ends.pop(job, None)
        if not end.done():
            end.set_result(None)
