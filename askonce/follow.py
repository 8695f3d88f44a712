"""Follows jobs until they end: a wake-up is a hint, only the record is certain."""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from askonce.errors import JobError, ResultTimeout, StoreUnavailable
from askonce.record import PAUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from askonce.answer import Result
    from askonce.job import Key
    from askonce.record import Snapshot
    from askonce.store import Store
    from askonce.subscription import Subscription

#: Seconds between looks at records for which no wake-up comes: one may be missed.
POLL = 1.0
#: So many records are read at once.
_LOOK_AT = 1000


class Followed(Protocol):
    """One caller's hold on a job."""

    key: Key

    def settle(self, record: Snapshot) -> Result | None:
        """Read the answer from *record*; None while the job is under way.

        Raises:
            JobError: the job ended without one.
        """


_HandleT = TypeVar("_HandleT", bound=Followed)


class Follower(Generic[_HandleT]):
    """Waits for any number of jobs at once, and takes more of them meanwhile; a context manager."""

    def __init__(
        self, store: Store, clock: Callable[[], float] = time.monotonic, *, wakeable: bool = False
    ) -> None:
        """Read records on *store*; *clock* counts seconds. Any thread may ``wake`` one that is *wakeable*."""
        self._store, self._clock = store, clock
        self._wakeable = wakeable
        self._ring: Callable[[], None] | None = None
        self._stack = ExitStack()
        self._subscription: Subscription | None = None
        #: In the order of the last look at each.
        self._waiting: dict[_HandleT, None] = {}
        self._by_key: dict[Key, list[_HandleT]] = {}
        #: Nobody has looked at these since their wake-ups are heard.
        self._new: dict[_HandleT, None] = {}
        self._looked_at = clock()

    def __enter__(self) -> Self:
        """Follow nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hear of no job any more."""
        self._unsubscribe()

    def __len__(self) -> int:
        """Return how many jobs are under way."""
        return len(self._waiting)

    @property
    def waiting(self) -> list[_HandleT]:
        """Return the handles whose jobs are under way."""
        return list(self._waiting)

    @property
    def has_looked(self) -> bool:
        """Whether every job was under way when its record was read last, and its wake-up is heard."""
        return not self._new

    def of(self, key: Key) -> _HandleT | None:
        """Return a handle on the job that is under way for *key*; None where none is followed."""
        handles = self._by_key.get(key)
        return handles[0] if handles else None

    def add(self, handles: Iterable[_HandleT]) -> None:
        """Follow *handles* too."""
        for handle in handles:
            self._waiting[handle] = self._new[handle] = None
            self._by_key.setdefault(handle.key, []).append(handle)

    def drop(self, handle: _HandleT) -> None:
        """Follow *handle* no more."""
        self._new.pop(handle, None)
        del self._waiting[handle]
        self._leave([handle])

    def wake(self) -> None:
        """End the wait of ``ended``; any thread may.

        Nobody waits without a bell: a call of ``ended`` that subscribes looks at records, and returns.
        """
        ring = self._ring
        if ring is not None:
            ring()

    def ended(self, timeout: float) -> list[tuple[_HandleT, Result | JobError]]:
        """Return the handles whose jobs ended, and follow them no more.

        Waits at most *timeout* seconds for one; may return sooner with none.

        Raises:
            StoreUnavailable: the store did not answer; nothing is lost.
        """
        try:
            return self._ended(timeout)
        except StoreUnavailable:
            # Wake-ups are missed meanwhile.
            self._unsubscribe()
            raise

    def _ended(self, timeout: float) -> list[tuple[_HandleT, Result | JobError]]:
        if not self._waiting:
            return []
        if self._subscription is None:
            # Those that ended already need no subscription.
            settled = self._look(islice(self._new, _LOOK_AT))
            if settled:
                return settled
            self._subscription = self._stack.enter_context(self._store.subscribe(list(self._by_key)))
            self._ring = self._subscription.bell() if self._wakeable else None
            self._new = dict(self._waiting)
        if self._new:
            return self._look_at_new(self._subscription)
        woken = self._subscription.wait(max(0.0, min(POLL, timeout)))
        look_at = [handle for key in woken for handle in self._by_key.get(key, ())]
        return self._look([*look_at, *self._due()])

    def _unsubscribe(self) -> None:
        self._subscription = self._ring = None
        self._stack.close()

    def _look_at_new(self, subscription: Subscription) -> list[tuple[_HandleT, Result | JobError]]:
        """Look at jobs that may have ended before their wake-ups were heard."""
        look_at = list(islice(self._new, _LOOK_AT))
        subscription.add([handle.key for handle in look_at])
        return self._look(look_at)

    def _due(self) -> list[_HandleT]:
        """Return the handles that nobody has looked at for longest, once in a while."""
        if self._clock() - self._looked_at < POLL:
            return []
        self._looked_at = self._clock()
        return list(islice(self._waiting, _LOOK_AT))

    def _look(self, handles: Iterable[_HandleT]) -> list[tuple[_HandleT, Result | JobError]]:
        look_at = list(dict.fromkeys(handles))
        records = self._store.read([handle.key for handle in look_at]) if look_at else []
        ends = [_settle(handle, record) for handle, record in zip(look_at, records, strict=True)]
        for handle, end in zip(look_at, ends, strict=True):
            self._new.pop(handle, None)
            # Whoever was looked at goes to the end of the line.
            del self._waiting[handle]
            if end is None:
                self._waiting[handle] = None
        settled = [(handle, end) for handle, end in zip(look_at, ends, strict=True) if end is not None]
        self._leave(handle for handle, _ in settled)
        return settled

    def _leave(self, handles: Iterable[_HandleT]) -> None:
        unheard = []
        for handle in handles:
            others = self._by_key[handle.key]
            others.remove(handle)
            if not others:
                del self._by_key[handle.key]
                unheard.append(handle.key)
        if unheard and self._subscription is not None:
            self._subscription.leave(unheard)


def _settle(handle: Followed, record: Snapshot) -> Result | JobError | None:
    try:
        return handle.settle(record)
    except StoreUnavailable:
        raise
    except JobError as error:
        return error


def timed_out(handle: Followed, record: Snapshot, waited: float) -> ResultTimeout:
    """Return the error of a caller who *waited* so many seconds in vain; *record* says how far the job is."""
    state = PAUSED if record.flight == "queued" and record.paused is not None else record.status.value
    return ResultTimeout(key=handle.key, state=state, waited_seconds=round(waited, 3))
