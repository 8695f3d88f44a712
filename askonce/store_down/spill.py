"""Holds answers that were paid for and could not be stored, until the store is back.

Each is written under the owner token of its own run, so an answer that somebody overtook meanwhile is
fenced like any other. What does not fit stays with its worker, which tries as long as its lease could hold.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from threading import Condition, Thread
from typing import TYPE_CHECKING

from askonce.errors import StoreUnavailable
from askonce.events import Event, Listener, ignore

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.store import Write

MAX_BYTES = 64 << 20
#: Seconds between tries; short, for the reaper may send the job again as soon as the store is back.
INTERVAL = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Unstored:
    """One answer that waits."""

    task: str
    key: str
    job: str
    #: Bytes.
    size: int
    #: Stores it, once; may be repeated.
    write: Callable[[], Write]


class Spill:
    """The unstored answers of one process; its thread lives while there are any."""

    def __init__(
        self,
        *,
        max_bytes: int = MAX_BYTES,
        interval: float = INTERVAL,
        listen: Listener = ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold at most *max_bytes*; try again every *interval* seconds."""
        self._max_bytes, self._interval = max_bytes, interval
        self._listen, self._clock = listen, clock
        self._waiting: deque[tuple[float, Unstored]] = deque()
        self._changed = Condition()
        self._thread: Thread | None = None
        self.bytes = 0

    def keep(self, answer: Unstored) -> bool:
        """Take *answer* over; false when there is no room for it."""
        with self._changed:
            if self.bytes + answer.size > self._max_bytes:
                return False
            self.bytes += answer.size
            self._waiting.append((self._clock(), answer))
            if self._thread is None:
                self._thread = Thread(target=self._store_all, name="askonce-spill", daemon=True)
                self._thread.start()
        return True

    def drain(self, timeout: float) -> int:
        """Wait at most *timeout* seconds until all is stored; tell of what is left, and return how many."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout)
            left = [answer for _, answer in self._waiting]
        for answer in left:
            self._tell("job.unkept", answer, reason="process_ended")
        return len(left)

    def _store_all(self) -> None:
        while (oldest := self._oldest()) is not None:
            kept_at, answer = oldest
            try:
                outcome = answer.write()
            except StoreUnavailable:
                with self._changed:
                    self._changed.wait(self._interval)
                continue
            except Exception as error:  # noqa: BLE001  # the others wait behind it
                # Another try would meet the same, such as a record of a newer version.
                self._tell("job.unkept", answer, reason=type(error).__name__)
            else:
                late = self._clock() - kept_at
                self._tell("job.stored_late", answer, outcome=outcome.value, late_seconds=late)
            with self._changed:
                self._waiting.popleft()
                self.bytes -= answer.size
                self._changed.notify_all()

    def _oldest(self) -> tuple[float, Unstored] | None:
        with self._changed:
            if self._waiting:
                return self._waiting[0]
            self._thread = None
            return None

    def _tell(self, name: str, answer: Unstored, **data: object) -> None:
        self._listen(Event(name=name, task=answer.task, key=answer.key, job=answer.job, data=data))
