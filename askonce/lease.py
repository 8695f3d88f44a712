"""Keeps leases alive while their calls run: one thread a process renews them all in one round trip."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, current_thread
from typing import TYPE_CHECKING

from askonce.background import is_alive, start_thread
from askonce.events import EventType, Listener, Subject, emit, ignore
from askonce.store import Renewal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Thread

    from askonce.store import Lease, Store

#: A lease is renewed this many times within its length: two renewals may fail.
RENEWALS = 3
#: Seconds between looks at the leases; the shortest lease that is safe is three times this.
LOOK = 1.0


def since_boot() -> float:
    """Return seconds on a clock that goes on while this process is stopped or this machine is suspended.

    ``time.monotonic`` stands still while Linux is suspended; the store's clock, and so a lease, does not.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


@dataclass(slots=True, eq=False)
class Held:
    """A lease of this process, and when it is renewed next."""

    lease: Lease
    renew_at: float
    #: Another owner has the key now; the call itself goes on.
    lost: bool = False
    #: The store refused to renew it once.
    doubted: bool = False
    #: The last renewal told that its job was cancelled.
    cancelled: bool = False


class LeaseRenewer:
    """All leases of one process; its thread lives while there are any."""

    def __init__(
        self, store: Store, *, listen: Listener = ignore, clock: Callable[[], float] = since_boot
    ) -> None:
        """Renew on *store*; *clock* is in seconds and may differ from the store's."""
        self._store, self._listen, self._clock = store, listen, clock
        self._held: set[Held] = set()
        self._changed = Condition()
        self._thread: Thread | None = None
        self._next_look = 0.0

    @contextmanager
    def hold(self, lease: Lease) -> Iterator[Held]:
        """Renew *lease*, which the store has just granted, until the block ends."""
        held = Held(lease, self._clock() + lease.seconds / RENEWALS)
        try:
            # No lock on the path of every job: adding to a set is one step, and the thread reads a copy.
            self._held.add(held)
            thread = self._thread
            if held.renew_at < self._next_look or thread is None or not thread.is_alive():
                self._wake()
            yield held
        finally:
            self._held.discard(held)

    def _wake(self) -> None:
        with self._changed:
            if is_alive(self._thread):
                self._changed.notify()
                return
            if self._thread is not None:
                emit(self._listen, EventType.THREAD_RESTARTED, thread="askonce-lease", reason="ended")
            self._thread = start_thread("askonce-lease", self._renew_until_idle, self._listen)

    def _renew_until_idle(self) -> None:
        while due := self._wait_for_due():
            try:
                replies = self._store.renew([held.lease for held in due])
            except Exception:  # noqa: BLE001  # the thread must outlive any fault: others' leases depend on it
                # The lease has slack for two missed renewals; look again soon.
                self._postpone(due, 0.3)
                continue
            for held, reply in zip(due, replies, strict=True):
                self._settle(held, reply)

    def _wait_for_due(self) -> list[Held]:
        """Block until a lease must be renewed; empty when none was held for a while."""
        idle = False
        with self._changed:
            while True:
                now, held = self._clock(), tuple(self._held)
                due = [lease for lease in held if lease.renew_at <= now]
                if due:
                    return due
                if idle and not held and self._may_end():
                    return []
                idle = not held
                # Never long: a lease that was added just now, without the lock, may be due before these.
                self._next_look = min((lease.renew_at for lease in held), default=now + LOOK)
                self._changed.wait(min(self._next_look - now, LOOK))

    def _may_end(self) -> bool:
        # In this order: a lease that is added now is either seen here, or its thread sees that none runs.
        self._thread = None
        if self._held:
            self._thread = current_thread()
        return self._thread is None

    def _settle(self, held: Held, reply: Renewal) -> None:
        held.renew_at = self._clock() + held.lease.seconds / RENEWALS
        if reply in (Renewal.OK, Renewal.CANCELLED):
            held.doubted, held.cancelled = False, reply is Renewal.CANCELLED
            return
        if not held.doubted:
            # A run whose answer is being stored has no lease any more, and ends in a moment.
            held.doubted = True
            self._postpone([held], LOOK)
            return
        still_held = held in self._held
        self._held.discard(held)
        if still_held:
            held.lost = True
            emit(self._listen, EventType.LEASE_LOST, Subject(key=held.lease.key))

    def _postpone(self, due: list[Held], seconds: float) -> None:
        for held in due:
            held.renew_at = self._clock() + min(seconds, held.lease.seconds / RENEWALS)
