"""Holds paid answers, and failures of calls, that could not be stored, until the store is back.

Each is written under the owner token of its own run, so it is fenced if another run overtook it meanwhile.
One whose write keeps failing holds up no other. An answer without room here stays with its worker, which
tries for as long as its lease could last.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from threading import Condition
from typing import TYPE_CHECKING, Self

from askonce.background import is_alive, start_thread
from askonce.errors import JobError, StoreUnavailable
from askonce.events import EventType, Listener, emit, ignore

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread

    from askonce.job import Job
    from askonce.store import Write

MAX_BYTES = 64 << 20
#: Seconds between tries; short, because the reaper may send the job again as soon as the store is back.
INTERVAL = 0.5
#: So many writes in a row fail before the next pause: a node of a cluster that is down holds up no other.
_FAILURES = 8
#: Seconds for which a record that cannot be written, of a newer version or damaged, may be replaced.
_PATIENCE = 60.0
#: Bytes of an answer here beside its texts: its job, its write and their places. Measured: 1.4 KB.
_OVERHEAD = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Unstored:
    """One answer, one failure, or what a call paid, that waits to be stored."""

    job: Job
    #: Bytes that *write* keeps, beside the job.
    size: int
    #: Stores it; may be repeated.
    write: Callable[[], Write]
    #: What a call paid, and nothing else: no caller waits for it.
    money_only: bool = False

    @property
    def held(self) -> int:
        """The bytes that it takes in memory."""
        return self.size + len(self.job.payload) + _OVERHEAD

    def compacted(self) -> Self:
        """Return the same with a payload that takes no more than its length."""
        return replace(self, job=self.job._replace(payload=compact(self.job.payload)))


def compact(data: bytes) -> bytes:
    """Return a copy of *data* of its own size: what orjson returns keeps the room that it was built in."""
    return memoryview(data).tobytes()


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
        """Take *answer* over; False when there is no room for it."""
        with self._changed:
            if self.bytes + answer.held > self._max_bytes:
                return False
            self.bytes += answer.held
            self._waiting.append((self._clock(), answer))
            if not is_alive(self._thread):
                if self._thread is not None:
                    emit(self._listen, EventType.THREAD_RESTARTED, thread="askonce-spill", reason="ended")
                self._thread = start_thread("askonce-spill", self._store_all, self._listen)
        return True

    def drain(self, timeout: float) -> int:
        """Wait at most *timeout* seconds until all is stored; return how many are left, and report them."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout)
            left = [answer for _, answer in self._waiting]
        for answer in left:
            emit(self._listen, EventType.JOB_UNKEPT, answer.job, reason="process_ended")
        return len(left)

    def _store_all(self) -> None:
        failures = 0
        while (oldest := self._oldest()) is not None:
            kept_at, answer = oldest
            if self._store(answer, kept_at):
                failures = 0
                continue
            failures += 1
            with self._changed:
                self._waiting.rotate(-1)
                if failures >= min(_FAILURES, len(self._waiting)):
                    failures = 0
                    self._changed.wait(self._interval)

    def _store(self, answer: Unstored, kept_at: float) -> bool:
        """Write *answer*, which is the first one, and let go of it; False when it must be tried again."""
        try:
            outcome = answer.write()
        except StoreUnavailable:
            return False
        except Exception as error:  # noqa: BLE001  # the others wait behind it
            if isinstance(error, JobError) and self._clock() - kept_at < _PATIENCE:
                return False
            # Another try would fail in the same way.
            emit(self._listen, EventType.JOB_UNKEPT, answer.job, reason=type(error).__name__)
        else:
            if not answer.money_only:
                late = {"outcome": outcome.value, "late_seconds": self._clock() - kept_at}
                emit(self._listen, EventType.JOB_STORED_LATE, answer.job, **late)
        with self._changed:
            self._waiting.popleft()
            self.bytes -= answer.held
            self._changed.notify_all()
        return True

    def _oldest(self) -> tuple[float, Unstored] | None:
        with self._changed:
            if self._waiting:
                return self._waiting[0]
            self._thread = None
            return None
