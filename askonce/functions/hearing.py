"""Hears of answers that were invalidated elsewhere, for those that this process serves without the store."""

from __future__ import annotations

from collections import Counter, deque
from threading import Event as Signal
from threading import Lock
from typing import TYPE_CHECKING

from askonce.answer import Kept, StoredValue
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
        self._came: deque[tuple[Job, Kept | StoredValue]] = deque(maxlen=_MOST_HITS)
        self._lock = Lock()
        #: Counts one hit: a job, and the answer that it got.
        self.count = self._came.append

    def flush(self) -> None:
        """Hand over what came since the last time."""
        with self._lock:
            came = [self._came.popleft() for _ in range(len(self._came))]
        # Told apart by the object: comparing what answers hold takes longer.
        numbers = Counter(id(answer) for _, answer in came)
        for job, answer in {id(pair[1]): pair for pair in came}.values():
            number = numbers[id(answer)]
            self._hits.add(job, {what: number * each for what, each in hits_of(_cost_of(answer)).items()})


def _cost_of(answer: Kept | StoredValue) -> int | None:
    return answer.micro_usd if isinstance(answer, Kept) else answer.meta.spend.micro_usd


class Hearing:
    """One thread of the process, from the first function that has a ``local_ttl``."""

    def __init__(self, store: Store, cache: LocalCache, recent: RecentHits, listen: Listener) -> None:
        """Forget in *cache* what *store* tells, and flush *recent* hits meanwhile."""
        self._store, self._cache, self._recent, self._listen = store, cache, recent, listen
        self._thread: Thread | None = None
        self._lock, self._ends = Lock(), Signal()

    def stop(self) -> None:
        """Listen no more, after the wait under way."""
        self._ends.set()

    def start(self) -> None:
        """Begin to listen, if nothing does."""
        with self._lock:
            if not is_alive(self._thread):
                self._thread = start_thread("askonce-invalidated", self._listen_on, self._listen)

    def _listen_on(self) -> None:
        while not self._ends.is_set():
            try:
                with self._store.invalidations() as heard:
                    # What was told before was not heard.
                    self._cache.invalidate(None)
                    while not self._ends.is_set():
                        keys = heard.wait(_WAIT)
                        self._recent.flush()
                        if keys is None or keys:
                            self._cache.invalidate(keys)
            except StoreUnavailable:
                self._recent.flush()
                self._ends.wait(_REST)
