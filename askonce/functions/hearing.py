"""Hears of answers that were invalidated elsewhere, for those that this process serves without the store."""

from __future__ import annotations

from collections import Counter, deque
from threading import Event as Signal
from threading import Lock
from typing import TYPE_CHECKING

from askonce.background import is_alive, start_thread
from askonce.errors import StoreUnavailable
from askonce.store_down.hits import hits_of

if TYPE_CHECKING:
    from threading import Thread

    from askonce.events import Listener
    from askonce.job import Job
    from askonce.store import Store
    from askonce.store_down.cache import LocalCache
    from askonce.store_down.hits import LocalHits

#: Seconds between two counts of hits, and before the store is tried again.
_WAIT, _REST = 1.0, 0.5
#: Hits that wait to be counted; of more in one wait, the first are not.
_MOST_HITS = 1_000_000


class RecentHits:
    """Hits without the store since they were counted last: a hit must not cost a round trip, nor a lock."""

    def __init__(self, hits: LocalHits) -> None:
        """Count in *hits*, at each ``flush``."""
        self._hits = hits
        self._came: deque[tuple[str, int | None]] = deque(maxlen=_MOST_HITS)
        #: The last job of each task: its key says where its counters are.
        self._jobs: dict[str, Job] = {}
        self._lock = Lock()

    def count(self, job: Job, micro_usd: int | None) -> None:
        """Count one hit, and the micro-dollars that it avoided; None is unknown."""
        self._jobs[job.task] = job
        self._came.append((job.task, micro_usd))

    def flush(self) -> None:
        """Hand over what came since the last time."""
        with self._lock:
            came = Counter(self._came.popleft() for _ in range(len(self._came)))
        for (task, micro_usd), number in came.items():
            counted = {what: number * each for what, each in hits_of(micro_usd).items()}
            self._hits.add(self._jobs[task], counted)


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
