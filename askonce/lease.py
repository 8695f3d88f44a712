"""Keeps leases alive while their calls run: one thread a process renews them all in one round trip."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, Thread
from typing import TYPE_CHECKING

from askonce.events import Event, Listener, ignore
from askonce.store import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.store import Store

#: A lease is renewed this many times within its length: two renewals may fail.
BEATS = 3


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
        with self._changed:
            self._held.add(lease)
            if self._thread is None:
                self._thread = Thread(target=self._renew_until_idle, name="askonce-lease", daemon=True)
                self._thread.start()
            elif lease.renew_at < self._next_look:
                self._changed.notify()
        try:
            yield lease
        finally:
            with self._changed:
                self._held.discard(lease)

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
        with self._changed:
            while True:
                now = self._clock()
                if not self._held:
                    self._next_look = now + 1.0
                    self._changed.wait(1.0)
                    if not self._held:
                        self._thread = None
                        return []
                    continue
                due = [lease for lease in self._held if lease.renew_at <= now]
                if due:
                    return due
                self._next_look = min(lease.renew_at for lease in self._held)
                self._changed.wait(self._next_look - now)

    def _settle(self, lease: Lease, reply: Write) -> None:
        lease.renew_at = self._clock() + lease.seconds / BEATS
        if reply is Write.OK:
            return
        with self._changed:
            held = lease in self._held
            self._held.discard(lease)
        if held:
            lease.lost = True
            self._listen(Event(name="lease.lost", key=lease.key))

    def _postpone(self, due: list[Lease], seconds: float) -> None:
        for lease in due:
            lease.renew_at = self._clock() + min(seconds, lease.seconds / BEATS)
