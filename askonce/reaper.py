"""Sends the messages of lost jobs again: expired leases, lost messages, failed calls that may retry.

Every worker runs one. It looks at all buckets once in every interval, a slice at a time. Its order stays the
same, so that no bucket waits for longer. Each process draws its own, so that many workers share the work and
need not know of each other. The store decides which job is lost; two reapers never get the same one.
"""

from __future__ import annotations

import heapq
import random
import time
from itertools import cycle
from threading import Condition
from typing import TYPE_CHECKING

from askonce.background import is_alive, start_thread
from askonce.events import EventType, Listener, Subject, emit, ignore
from askonce.job import is_of_callers
from askonce.lost import Budget, Lost, Resent
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from threading import Thread

    from askonce.lost import Delivered
    from askonce.store import Store

#: Seconds in which every bucket is looked at once.
INTERVAL = 5.0
_SLICES = 5
#: Seconds that a look comes later than requested: the store's clock is not ours.
_SLACK = 0.05
#: Seconds without a sweep after the store was down: first, processes store the answers that were paid for
#: meanwhile. Otherwise the jobs whose leases ended would be called again.
_RECOVERY = 3.0
#: Buckets in one round trip: its reply holds a megabyte of payloads for each at most.
_AT_ONCE = 8
#: Seconds between looks for counters of past days.
_FOLD_EVERY = 3_600.0


def _nothing_delivered() -> list[Delivered]:
    return []


class Reaper:
    """The reaper of one process."""

    def __init__(
        self,
        store: Store,
        send: Callable[[Lost], None],
        *,
        interval: float = INTERVAL,
        delivered: Callable[[], list[Delivered]] = _nothing_delivered,
        listen: Listener = ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at every bucket of *store* once in *interval* seconds and *send* the lost jobs.

        *delivered* returns how far this worker's queues have delivered their messages. Without that, no job
        counts as lost that waits in a queue.
        """
        self._store, self._send, self._listen, self._clock = store, send, listen, clock
        self._interval, self._delivered = interval, delivered
        self._fold_at = clock()
        self._due: list[tuple[float, int]] = []
        buckets = random.sample(range(BUCKETS), BUCKETS)
        self._slices = cycle([buckets[i::_SLICES] for i in range(_SLICES)])
        self._sweeping, self._stopped = False, False
        self._changed = Condition()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Sweep all buckets from now on, in a thread."""
        with self._changed:
            self._sweeping = True
            self._run_thread()

    def stop(self) -> None:
        """End the thread; a sweep under way is finished first."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def look_at(self, key: str, after: float) -> None:
        """Look at *key*'s bucket in *after* seconds, in addition to the sweeps."""
        with self._changed:
            heapq.heappush(self._due, (self._clock() + after + _SLACK, int(key[:2], 16)))
            self._run_thread()
            self._changed.notify()

    def sweep(self, buckets: Sequence[int]) -> int:
        """Send the lost jobs of *buckets* again; return how many.

        A bucket that returned some is looked at again: one look returns a few only.
        """
        began, found, left = self._clock(), 0, list(buckets)
        delivered = self._delivered()
        while left and not self._stopped:
            some, left = left[:_AT_ONCE], left[_AT_ONCE:]
            age = self._clock() - began
            known = [each.aged(age) for each in delivered]
            looked_at = self._store.reap(some, known)
            lost = [each for each in looked_at if isinstance(each, Lost)]
            for damaged in (each for each in looked_at if not isinstance(each, Lost)):
                about = Subject(key=damaged.key)
                emit(self._listen, EventType.RECORD_DAMAGED, about, reason=damaged.reason)
            self._resend(lost)
            found += len(lost)
            left += sorted({int(each.job.key[:2], 16) for each in lost} & set(some))
        return found

    def _resend(self, lost: Iterable[Lost]) -> None:
        sent = []
        for each in lost:
            if self._stopped:
                # Each could wait for a broker that hangs. What is left is handed out to another process.
                break
            if is_of_callers(each.job):
                self._store.cancel(each.job.key)
                continue
            # Whatever a router or the broker raises costs its own job, which is handed out again later.
            try:
                self._send(each)
            except Exception as error:  # noqa: BLE001  # as the comment says
                reason = type(error).__name__
                emit(self._listen, EventType.JOB_SEND_FAILED, each.job, resends=each.resent, reason=reason)
                continue
            sent.append(Resent(each.job.key, each.job.id, each.sent_at))
            if each.parked:
                emit(self._listen, EventType.JOB_RESUMED, each.job)
            else:
                emit(self._listen, EventType.JOB_RESENT, each.job, resends=each.resent + 1)
        if sent:
            self._store.resent(sent)

    def _fold(self) -> None:
        """Fold the counters of past days, now and then: any worker may, at any time."""
        if self._clock() >= self._fold_at:
            self._fold_at = self._clock() + _FOLD_EVERY
            self._store.tally.fold()

    def _run_thread(self) -> None:
        if not self._stopped and not is_alive(self._thread):
            if self._thread is not None:
                emit(self._listen, EventType.THREAD_RESTARTED, thread="askonce-reaper", reason="ended")
            self._thread = start_thread("askonce-reaper", self._run, self._listen)

    def _run(self) -> None:
        next_slice = self._clock()
        while (buckets := self._wait(next_slice)) is not None:
            if not buckets:
                next_slice = self._clock() + self._interval / _SLICES
                buckets = next(self._slices)
            try:
                self.sweep(buckets)
                self._fold()
            except Exception as error:  # noqa: BLE001  # the thread must outlive any fault
                # The jobs stay in the index with a later deadline: a later sweep finds them.
                emit(self._listen, EventType.REAPER_FAILED, reason=type(error).__name__)
                self._wait_for_store()

    def _wait_for_store(self) -> None:
        while self._pause(self._interval / _SLICES):
            try:
                self._store.reap([0], (), Budget(0, 0))
            except Exception:  # noqa: BLE001, S112  # the sweep before reported it
                continue
            self._pause(_RECOVERY)
            return

    def _pause(self, seconds: float) -> bool:
        """Do nothing for a while; return whether to go on."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._stopped, seconds)

    def _wait(self, next_slice: float) -> list[int] | None:
        """Block until a look is due: its buckets, empty for the next slice, None at the end."""
        with self._changed:
            while not self._stopped:
                now = self._clock()
                due = []
                while self._due and self._due[0][0] <= now:
                    due.append(heapq.heappop(self._due)[1])
                if due:
                    return sorted(set(due))
                if self._sweeping and next_slice <= now:
                    return []
                wake = [self._due[0][0]] if self._due else []
                wake += [next_slice] if self._sweeping else []
                self._changed.wait(min(wake) - now if wake else None)
        return None
