"""Counts answers from this process's memory, for the counters of the store once it is back.

They wait in the spill, one entry for each name. Those of a process that is killed are lost.
"""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING

from askonce.job import new_owner
from askonce.store import Write
from askonce.store_down.spill import Spill, Unstored
from askonce.tally import Book

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.job import Job
    from askonce.spend import Spend
    from askonce.store import Store

_Name = tuple[str, str, str]


def hits_of(micro_usd: int | None) -> dict[str, int]:
    """Return what one hit counts, by the cost that it avoided."""
    avoided = {"avoided_unknown": 1} if micro_usd is None else {"avoided_micro_usd": micro_usd}
    return {"hit": 1, "hit_in_memory": 1, **avoided}


class LocalHits:
    """The hits of one process that its store does not know of; safe for threads."""

    def __init__(self, store: Store, spill: Spill, holder: str) -> None:
        """Count on *store*, when *spill* reaches it."""
        self._store, self._spill, self._holder = store, spill, holder
        self._sums: dict[_Name, Counter[str]] = {}
        #: Names with an entry in the spill.
        self._waiting: set[_Name] = set()
        self._lock = Lock()

    def count(self, job: Job, avoided: Spend) -> None:
        """Count a hit of *job*, and the cost that it *avoided*."""
        self.add(job, hits_of(avoided.micro_usd))

    def add(self, job: Job, hits: Mapping[str, int]) -> None:
        """Count *hits* of jobs of this name, as ``hits_of`` returns one."""
        with self._lock:
            self._sums.setdefault((job.task, job.tenant, job.model), Counter()).update(hits)
        self._wait(job._replace(payload=b""))

    def _wait(self, job: Job) -> None:
        name = job.task, job.tenant, job.model
        with self._lock:
            if name in self._waiting or name not in self._sums:
                return
            self._waiting.add(name)
        owner, booked = new_owner(self._holder), list[Book]()

        def write() -> Write:
            # The first try may be executed although its reply is lost, so all tries bring the same.
            if not booked:
                booked.append(Book(*name, self._take(name)))
            self._store.tally.book_late(job.key, owner, booked[0])
            self._end(job)
            return Write.OK

        if not self._spill.keep(Unstored(job=job, size=0, write=write, money_only=True)):
            with self._lock:
                self._waiting.discard(name)

    def _take(self, name: _Name) -> tuple[tuple[str, int], ...]:
        with self._lock:
            return tuple(self._sums.pop(name).items())

    def _end(self, job: Job) -> None:
        with self._lock:
            self._waiting.discard((job.task, job.tenant, job.model))
        # Those that came meanwhile.
        self._wait(job)
