"""Looks again and again which pauses hold, from a thread: a worker stops to consume paused queues."""

from __future__ import annotations

from threading import Event as Signal
from typing import TYPE_CHECKING

from askonce.background import start_thread
from askonce.events import Listener, ignore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Thread

    from askonce.controls import Controls, Pause

#: Seconds between two looks.
INTERVAL = 1.0


class PauseWatch:
    """The watch of one process."""

    def __init__(self, controls: Controls, *, listen: Listener = ignore, interval: float = INTERVAL) -> None:
        """Look at *controls* once in *interval* seconds."""
        self._controls, self._listen, self._interval = controls, listen, interval
        self._stopped = Signal()
        self._thread: Thread | None = None

    def start(self, apply: Callable[[Mapping[Pause, str]], None]) -> None:
        """Call *apply* with the pauses that hold, after each look from now on."""
        self._thread = start_thread("askonce-pauses", lambda: self._run(apply), self._listen)

    def look(self) -> Mapping[Pause, str] | None:
        """Return the pauses that hold; None where that cannot be known now: whatever is, stays."""
        try:
            return self._controls.pauses()
        except Exception:  # noqa: BLE001  # the store reports that it is down
            return None

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, apply: Callable[[Mapping[Pause, str]], None]) -> None:
        while not self._stopped.wait(self._interval):
            pauses = self.look()
            if pauses is not None:
                apply(pauses)
