"""Hears of answers that were invalidated elsewhere, for those that this process serves without the store."""

from __future__ import annotations

from threading import Event as Signal
from threading import Lock
from typing import TYPE_CHECKING

from askonce.background import is_alive, start_thread
from askonce.errors import StoreUnavailable

if TYPE_CHECKING:
    from threading import Thread

    from askonce.events import Listener
    from askonce.job import Job
    from askonce.store import Store
    from askonce.store_down.cache import LocalCache
    from askonce.store_down.hits import LocalHits

#: Seconds between two counts of hits, and before the store is tried again.
_WAIT, _REST = 1.0, 0.5


class RecentHits:
    """Hits without the store since they were counted last: a hit must not cost a round trip."""

    def __init__(self, hits: LocalHits) -> None:
        """Count in *hits*, at each ``flush``."""
        self._hits = hits
        #: By task, a job of it, and: hits, micro-dollars that they avoided, hits of an unknown cost.
        self._sums: dict[str, tuple[Job, list[int]]] = {}
        self._lock = Lock()

    def count(self, job: Job, micro_usd: int | None) -> None:
        """Count one hit, and the cost that it avoided."""
        with self._lock:
            sums = self._sums.get(job.task)
            if sums is None:
                sums = self._sums[job.task] = (job, [0, 0, 0])
            counted = sums[1]
            counted[0] += 1
            if micro_usd is None:
                counted[2] += 1
            else:
                counted[1] += micro_usd

    def flush(self) -> None:
        """Hand over what came since the last time."""
        with self._lock:
            sums, self._sums = self._sums, {}
        for job, (count, micro_usd, unknown) in sums.values():
            known = {"avoided_micro_usd": micro_usd} if micro_usd else {}
            others = {"avoided_unknown": unknown} if unknown else {}
            self._hits.add(job, {"hit": count, "hit_in_memory": count, **known, **others})


class Hearing:
    """One thread of the process, from the first function that has a ``local_ttl``."""

    def __init__(self, store: Store, cache: LocalCache, recent: RecentHits, listen: Listener) -> None:
        """Forget in *cache* what *store* tells, and flush *recent* hits meanwhile."""
        self._store, self._cache, self._recent, self._listen = store, cache, recent, listen
        self._thread: Thread | None = None
        self._lock = Lock()

    def start(self) -> None:
        """Begin to listen, if nothing does."""
        with self._lock:
            if not is_alive(self._thread):
                self._thread = start_thread("askonce-invalidated", self._listen_on, self._listen)

    def _listen_on(self) -> None:
        while True:
            try:
                with self._store.invalidations() as heard:
                    # What was told before was not heard.
                    self._cache.invalidate(None)
                    while True:
                        keys = heard.wait(_WAIT)
                        self._recent.flush()
                        if keys is None or keys:
                            self._cache.invalidate(keys)
            except StoreUnavailable:
                self._recent.flush()
                Signal().wait(_REST)
