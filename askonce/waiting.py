"""Waits for the jobs of many callers in one thread: a call that waits costs no thread and no connection."""

from __future__ import annotations

import os
import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from math import isnan
from threading import Condition, Lock
from typing import TYPE_CHECKING
from weakref import WeakSet, WeakValueDictionary

from askonce.background import is_alive, start_thread
from askonce.errors import JobError, StoreUnavailable
from askonce.events import Listener, ignore
from askonce.follow import POLL, Follower, timed_out
from askonce.log import log_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread

    from askonce.answer import Result
    from askonce.follow import Followed
    from askonce.record import Snapshot
    from askonce.store import Store

#: Seconds for which the thread, and its connection, outlive the last waiter.
LINGER = 1.0
#: So many waits that ended before their time are kept in the order of their deadlines, at least.
_ENDED_KEPT = 64


class _Waiter:
    """One wait for one handle."""

    __slots__ = ("_mistake", "began", "deadline", "future", "handle", "key")

    def __init__(self, handle: Followed, began: float, timeout: float) -> None:
        self.handle, self.key = handle, handle.key
        self.began, self.deadline = began, began + timeout
        self.future: Future[Result] = Future()
        self._mistake: Exception | None = None

    def settle(self, record: Snapshot) -> Result | None:
        """Settle as the handle does; no error concerns another wait."""
        try:
            return self.handle.settle(record)
        except StoreUnavailable:
            # The server of this record, of several: it is looked at again.
            return None
        except JobError:
            raise
        except Exception as error:
            self._mistake = error
            raise JobError from error

    def settle_late(self, record: Snapshot, now: float) -> Result | Exception:
        """Return how a wait ends whose time is over."""
        try:
            result = self.handle.settle(record)
        except Exception as error:  # noqa: BLE001  # its caller gets it
            return error
        return timed_out(self.handle, record, now - self.began) if result is None else result

    def resolve(self, end: Result | Exception) -> None:
        """Give *end* to the caller, unless that has cancelled its wait."""
        if not self.future.set_running_or_notify_cancel():
            return
        if isinstance(end, Exception):
            self.future.set_exception(self._mistake or end)
        else:
            self.future.set_result(end)


class Waiting:
    """The waits of one process on one store; its thread lives while there are any."""

    def __init__(
        self, store: Store, listen: Listener = ignore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read records on *store*; *clock* counts seconds."""
        self._store, self._listen, self._clock = store, listen, clock
        self.begin()
        _all.add(self)

    def begin(self) -> None:
        """Wait for nothing yet; in a forked child neither the thread nor its callers are left."""
        self._changed = Condition()
        self._thread: Thread | None = None
        #: Of the thread that runs, or ran last.
        self._follower: Follower[_Waiter] | None = None
        #: Those that the thread has not taken in yet.
        self._new: list[_Waiter] = []
        self._cancelled: deque[_Waiter] = deque()
        #: The thread's own, as is what follows.
        self._waiters: set[_Waiter] = set()
        self._deadlines: list[tuple[float, int, _Waiter]] = []
        self._numbers = count()

    def wait(self, handle: Followed, timeout: float) -> Future[Result]:
        """Return a future of the answer: within *timeout* seconds, with the errors of ``Handle.result``.

        This call itself sends nothing. Callbacks of the future run in the thread that waits for all, so they
        must be quick. A future that is cancelled is forgotten, and its job goes on.

        Raises:
            ValueError: *timeout* is no time.
        """
        if isnan(timeout):
            raise ValueError("timeout must be a number of seconds, not nan")
        waiter = _Waiter(handle, self._clock(), timeout)
        waiter.future.add_done_callback(partial(self._note_cancelled, waiter))
        with self._changed:
            self._new.append(waiter)
            self._changed.notify()
            if not is_alive(self._thread):
                self._thread = start_thread("askonce-waiting", self._follow, self._listen)
        follower = self._follower
        if follower is not None:
            follower.wake()
        return waiter.future

    def _note_cancelled(self, waiter: _Waiter, future: Future[Result]) -> None:
        if future.cancelled():
            self._cancelled.append(waiter)

    def _follow(self) -> None:
        with Follower[_Waiter](self._store, self._clock, wakeable=True) as follower:
            # There are some where an error interrupted this thread.
            follower.add(self._waiters)
            self._follower = follower
            while self._take_in(follower):
                self._end_late(follower)
                self._end_those_that_ended(follower)

    def _take_in(self, follower: Follower[_Waiter]) -> bool:
        """Follow new handles, and cancelled ones no more; False when there was none for a while."""
        with self._changed:
            if not self._waiters:
                self._changed.wait_for(self._has_new, LINGER)
            if not (self._waiters or self._new):
                self._thread = None
                return False
            new, self._new = [each for each in self._new if not each.future.cancelled()], []
        for waiter in new:
            heappush(self._deadlines, (waiter.deadline, next(self._numbers), waiter))
        self._waiters.update(new)
        follower.add(new)
        while self._cancelled:
            self._drop(self._cancelled.popleft(), follower)
        if len(self._deadlines) > 2 * len(self._waiters) + _ENDED_KEPT:
            self._deadlines = [each for each in self._deadlines if each[-1] in self._waiters]
            heapify(self._deadlines)
        return True

    def _has_new(self) -> bool:
        return bool(self._new)

    def _drop(self, waiter: _Waiter, follower: Follower[_Waiter]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            follower.drop(waiter)

    def _end_late(self, follower: Follower[_Waiter]) -> None:
        """End the waits whose time is over, after a last look at their records."""
        now, late = self._clock(), list[_Waiter]()
        while self._deadlines and self._deadlines[0][0] <= now:
            waiter = heappop(self._deadlines)[-1]
            if waiter in self._waiters:
                late.append(waiter)
                self._drop(waiter, follower)
        if not late:
            return
        try:
            records = self._store.read([waiter.key for waiter in late])
        except Exception as error:  # noqa: BLE001  # whatever it is, their time is over
            ends: list[Result | Exception] = [error] * len(late)
        else:
            ends = [
                waiter.settle_late(record, self._clock())
                for waiter, record in zip(late, records, strict=True)
            ]
        for waiter, end in zip(late, ends, strict=True):
            waiter.resolve(end)

    def _end_those_that_ended(self, follower: Follower[_Waiter]) -> None:
        """Wait until a job ends, a handle is new or a time is over."""
        if not self._waiters:
            return
        left = self._deadlines[0][0] - self._clock()
        try:
            ended = follower.ended(left)
        except StoreUnavailable:
            with self._changed:
                self._changed.wait_for(self._has_new, min(POLL, left))
            return
        for waiter, end in ended:
            self._waiters.remove(waiter)
            waiter.resolve(end)


def waiting_on(store: Store) -> Waiting:
    """Return the Waiting that all handles of this process on *store* share."""
    with _lock:
        waiting = _shared.get(id(store))
        if waiting is None:
            waiting = _shared[id(store)] = Waiting(store, log_event)
        return waiting


_all: WeakSet[Waiting] = WeakSet()
#: By the number of its store, which it keeps alive; its thread keeps it alive.
_shared: WeakValueDictionary[int, Waiting] = WeakValueDictionary()
_lock = Lock()


def _begin_in_child() -> None:
    global _lock  # noqa: PLW0603  # another thread of the parent may have held it
    _lock = Lock()
    for waiting in list(_all):
        waiting.begin()


os.register_at_fork(after_in_child=_begin_in_child)
