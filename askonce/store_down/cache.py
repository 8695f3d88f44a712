"""The last answers of this process, for the time when the store does not answer: bounded by bytes and age."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.answer import StoredValue
    from askonce.job import Fingerprint, JobId, Key

MAX_BYTES = 100_000_000
#: Seconds; shorter than most answers are fresh, because an answer in here cannot be invalidated.
TTL = 300.0
#: Bytes of an entry beside its answer: key, fingerprint and their places.
_OVERHEAD = 600


@dataclass(frozen=True, slots=True)
class _Entry:
    fingerprint: Fingerprint
    job: JobId
    value: StoredValue
    put_at: float
    ends_at: float

    @property
    def size(self) -> int:
        return len(self.value.data) + _OVERHEAD


class LocalCache:
    """Encoded answers by key; the least recently used ones make room. Safe for threads.

    It keeps bytes, not objects: a caller may change its answer without changing the next caller's.
    """

    def __init__(
        self,
        *,
        max_bytes: int = MAX_BYTES,
        ttl: float = TTL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep at most *max_bytes*, each answer at most *ttl* seconds."""
        self.ttl = ttl
        self._max_bytes, self._clock = max_bytes, clock
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._lock = Lock()
        self.bytes = 0

    def put(
        self, key: Key, fingerprint: Fingerprint, job: JobId, value: StoredValue, fresh_for: float
    ) -> None:
        """Keep *value* while it is fresh, until a newer answer needs the room."""
        now = self._clock()
        entry = _Entry(fingerprint, job, value, now, now + min(self.ttl, fresh_for))
        with self._lock:
            self._drop(key)
            if entry.size > self._max_bytes:
                return
            self._entries[key] = entry
            self.bytes += entry.size
            while self.bytes > self._max_bytes:
                self._drop(next(iter(self._entries)))

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
            return entry.job, entry.value, now - entry.put_at

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size
