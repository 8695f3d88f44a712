"""Sends again what nobody holds any more: expired leases, lost messages, failed calls that may retry.

Every worker process group runs one. It walks over all buckets once in every interval, a random slice
at a time, so that many workers share the work without knowing of each other. Which job is lost is
decided by the store; two reapers never get the same one.
"""

from __future__ import annotations

import heapq
import random
import time
from threading import Condition, Thread
from typing import TYPE_CHECKING

from askonce.errors import SendFailed
from askonce.events import Event, Listener, ignore
from askonce.store import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.store import Lost, Store

#: Seconds in which every bucket is looked at once.
INTERVAL = 5.0
SLICES = 5
#: Seconds that a look comes later than asked for: the store's clock is not ours.
SLACK = 0.05
#: Seconds without a sweep after the store was away: processes store first what they were paid for meanwhile,
#: else the jobs whose leases ended would be made again.
RECOVERY = 3.0
#: Jobs per bucket and look: a storm is spread over several.
LIMIT = 100


class Reaper:
    """One process's share of the reaping."""

    def __init__(
        self,
        store: Store,
        send: Callable[[Lost], None],
        *,
        interval: float = INTERVAL,
        listen: Listener = ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at every bucket of *store* once in *interval* seconds and *send* what was lost."""
        self._store, self._send, self._listen, self._clock = store, send, listen, clock
        self._interval = interval
        self._due: list[tuple[float, int]] = []
        self._slices: list[Sequence[int]] = []
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
        """Look at *key*'s bucket in *after* seconds, besides the sweeps."""
        with self._changed:
            heapq.heappush(self._due, (self._clock() + after + SLACK, int(key[:2], 16)))
            self._run_thread()
            self._changed.notify()

    def sweep(self, buckets: Sequence[int]) -> int:
        """Send again what was lost in *buckets*; return how many."""
        lost = self._store.reap(buckets, LIMIT)
        for job in lost:
            # One that the broker does not take must not hold up the others: its own deadline goes on.
            try:
                self._send(job)
            except SendFailed:
                name = "job.send_failed"
            else:
                name = "job.resent"
            data = {"resends": job.resent}
            self._listen(Event(name=name, task=job.task, key=job.key, job=job.job, data=data))
        return len(lost)

    def _run_thread(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._run, name="askonce-reaper", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        next_slice = self._clock()
        while (buckets := self._wait(next_slice)) is not None:
            if not buckets:
                next_slice = self._clock() + self._interval / SLICES
                buckets = self._next_slice()
            try:
                self.sweep(buckets)
            except Exception as error:  # noqa: BLE001  # the thread must outlive any fault
                # The jobs stay in the index with a later deadline: a later sweep finds them.
                self._listen(Event(name="reaper.failed", data={"reason": type(error).__name__}))
                self._wait_for_store()

    def _wait_for_store(self) -> None:
        while self._pause(self._interval / SLICES):
            try:
                self._store.reap([0], 0)
            except Exception:  # noqa: BLE001, S112  # the sweep before told of it
                continue
            self._pause(RECOVERY)
            return

    def _pause(self, seconds: float) -> bool:
        """Do nothing for a while; tell whether to go on."""
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

    def _next_slice(self) -> list[int]:
        if not self._slices:
            buckets = random.sample(range(BUCKETS), BUCKETS)
            self._slices = [buckets[i::SLICES] for i in range(SLICES)]
        return list(self._slices.pop())
