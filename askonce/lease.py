"""Keeps leases alive while their calls run: one thread a process renews them all in one round trip."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, Thread, current_thread
from typing import TYPE_CHECKING

from askonce.events import Event, Listener, ignore
from askonce.store import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.store import Store

#: A lease is renewed this many times within its length: two renewals may fail.
BEATS = 3
#: Seconds between looks at the leases; the shortest lease that is safe is three times this.
LOOK = 1.0


@dataclass(slots=True, eq=False)
class Lease:
    """One owner's timed right to run a job."""

    key: str
    owner: str
    seconds: float
    renew_at: float
    #: Set when the store said that the key is somebody else's now; the call itself goes on.
    lost: bool = False


class LeaseRenewer:
    """All leases of one process; its thread lives while there are any."""

    def __init__(
        self, store: Store, *, listen: Listener = ignore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Renew on *store*; *clock* is in seconds and need not agree with the store's."""
        self._store, self._listen, self._clock = store, listen, clock
        self._held: set[Lease] = set()
        self._changed = Condition()
        self._thread: Thread | None = None
        self._next_look = 0.0

    @contextmanager
    def hold(self, key: str, owner: str, seconds: float) -> Iterator[Lease]:
        """Renew the lease that the store has just granted until the block ends."""
        lease = Lease(key, owner, seconds, self._clock() + seconds / BEATS)
        # No lock on the path of every job: adding to a set is one step, and the thread looks at a copy.
        self._held.add(lease)
        if self._thread is None or lease.renew_at < self._next_look:
            self._wake()
        try:
            yield lease
        finally:
            self._held.discard(lease)

    def _wake(self) -> None:
        with self._changed:
            if self._thread is None:
                self._thread = Thread(target=self._renew_until_idle, name="askonce-lease", daemon=True)
                self._thread.start()
            else:
                self._changed.notify()

    def _renew_until_idle(self) -> None:
        while due := self._wait_for_due():
            try:
                replies = self._store.renew([(lease.key, lease.owner, lease.seconds) for lease in due])
            except Exception:  # noqa: BLE001  # the thread must outlive any fault: others' leases hang on it
                # The lease has slack for two missed renewals; look again soon.
                self._postpone(due, 0.3)
                continue
            for lease, reply in zip(due, replies, strict=True):
                self._settle(lease, reply)

    def _wait_for_due(self) -> list[Lease]:
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
                # Never long: a lease that was taken just now, without the lock, may be due before these.
                self._next_look = min((lease.renew_at for lease in held), default=now + LOOK)
                self._changed.wait(min(self._next_look - now, LOOK))

    def _may_end(self) -> bool:
        # In this order: who takes a lease now either is seen here, or sees that there is no thread.
        self._thread = None
        if self._held:
            self._thread = current_thread()
        return self._thread is None

    def _settle(self, lease: Lease, reply: Write) -> None:
        lease.renew_at = self._clock() + lease.seconds / BEATS
        if reply is Write.OK:
            return
        held = lease in self._held
        self._held.discard(lease)
        if held:
            lease.lost = True
            self._listen(Event(name="lease.lost", key=lease.key))

    def _postpone(self, due: list[Lease], seconds: float) -> None:
        for lease in due:
            lease.renew_at = self._clock() + min(seconds, lease.seconds / BEATS)
