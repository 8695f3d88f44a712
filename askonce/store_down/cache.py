"""The last answers of this process: bounded by bytes, entries and age.

They are served while the store does not answer. A caller that allows it gets one without asking the store,
for as long as it says: until then it may have been invalidated elsewhere, if this process did not hear of
that. No answer is in here before its job has ended.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from askonce.answer import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from askonce.answer import StoredValue
    from askonce.job import Fingerprint, JobId, Key

MAX_BYTES = 100_000_000
MAX_ENTRIES = 100_000
#: Seconds; shorter than most answers are fresh, because an answer in here cannot be invalidated.
TTL = 300.0
#: Bytes of an entry beside its answer: key, fingerprint and their places.
_OVERHEAD = 600


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer, and when it came and ends by the cache's clock."""

    fingerprint: Fingerprint
    job: JobId
    value: StoredValue | Kept
    put_at: float
    ends_at: float

    @property
    def size(self) -> int:
        """The bytes that it takes."""
        return len(self.value.data) + _OVERHEAD


class LocalCache:
    """Encoded answers by key; the least recently used ones make room. Safe for threads.

    It keeps bytes, not objects: a caller may change its answer without changing the next caller's.
    """

    def __init__(
        self,
        *,
        max_bytes: int = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        ttl: float = TTL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep at most *max_bytes* and *max_entries*, each answer at most *ttl* seconds."""
        self.ttl = ttl
        self._max_bytes, self._max_entries, self._clock = max_bytes, max_entries, clock
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self._lock = Lock()
        self.bytes = 0
        #: Rises with each invalidation: an answer that was asked for before one is not kept after it.
        self.epoch = 0

    def put(
        self,
        key: Key,
        fingerprint: Fingerprint,
        job: JobId,
        value: StoredValue | Kept,
        fresh_for: float,
        *,
        asked: int | None = None,
    ) -> None:
        """Keep *value* while it is fresh, until a newer answer needs the room.

        *asked* is the epoch in which it was asked for.
        """
        now = self._clock()
        entry = Entry(fingerprint, job, value, now, now + min(self.ttl, fresh_for))
        with self._lock:
            if asked is not None and asked != self.epoch:
                return
            self._drop(key)
            if entry.size > self._max_bytes:
                return
            self._entries[key] = entry
            self.bytes += entry.size
            while self.bytes > self._max_bytes or len(self._entries) > self._max_entries:
                self._drop(next(iter(self._entries)))

    def invalidate(self, keys: Iterable[Key] | None) -> None:
        """Forget the answers of *keys*; None forgets all."""
        with self._lock:
            self.epoch += 1
            for key in tuple(self._entries) if keys is None else keys:
                self._drop(key)

    def recent(self, key: Key, fingerprint: Fingerprint, within: float) -> Entry | None:
        """Return an answer that came here at most *within* seconds ago; None as for ``get``."""
        # No lock on the path of every hit: each step is one of the interpreter's.
        entry = self._entries.get(key)
        if entry is None or entry.fingerprint != fingerprint:
            return None
        now = self._clock()
        if now - entry.put_at >= within or now >= entry.ends_at:
            return None
        try:
            self._entries.move_to_end(key)
        except KeyError:  # dropped meanwhile
            return None
        return entry

    def seconds(self, entry: Entry) -> float:
        """Return for how long *entry* is in here."""
        return self._clock() - entry.put_at

    def has(self, key: Key, fence: int, within: float) -> bool:
        """Return whether the answer of *fence* came here at most *within* seconds ago."""
        entry = self._entries.get(key)
        return entry is not None and entry.value.fence == fence and self._clock() - entry.put_at < within

    def get(self, key: Key, fingerprint: Fingerprint) -> tuple[JobId, StoredValue, float] | None:
        """Return the job, the answer and its seconds in here; None for the answer of another payload."""
        with self._lock:
            entry, now = self._entries.get(key), self._clock()
            if entry is None or entry.fingerprint != fingerprint:
                return None
            if now >= entry.ends_at:
                self._drop(key)
                return None
            self._entries.move_to_end(key)
            value = entry.value.stored() if isinstance(entry.value, Kept) else entry.value
            return entry.job, value, now - entry.put_at

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size
