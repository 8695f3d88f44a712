"""Keeps the counters of the store in memory."""

from __future__ import annotations

from collections import Counter as Sums
from typing import TYPE_CHECKING

from askonce.record import BOUNDS, MAX_COUNTERS
from askonce.tally import ENTRIES_KEPT, Counter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from threading import Condition

    from askonce.job import Key, Owner
    from askonce.tally import Book

_DAY = 86_400


class MemoryTally:
    """The counters of one store, behind its lock."""

    def __init__(self, changed: Condition, now: Callable[[], float]) -> None:
        """Begin at nothing."""
        self._changed, self._now = changed, now
        self._counted: Sums[tuple[int, Counter]] = Sums()
        self._booked: set[Owner] = set()
        self._successes: dict[str, float] = {}

    def totals(self) -> Mapping[Counter, int]:
        """Return every counter since the store began."""
        with self._changed:
            sums: Sums[Counter] = Sums()
            for (_, counter), amount in self._counted.items():
                sums[counter] += amount
            return sums

    def of_days(self, days: range) -> Mapping[int, Mapping[Counter, int]]:
        """Return the counters of each of *days* that has any: whole days in UTC, counted from 1970."""
        found: dict[int, dict[Counter, int]] = {}
        with self._changed:
            for (day, counter), amount in self._counted.items():
                if day in days:
                    found.setdefault(day, {})[counter] = amount
        return found

    def fold(self) -> int:
        """Do nothing: there is one place only."""
        return 0

    def succeeded(self, entry: str) -> None:
        """Note that a job of this *entry* of the schedule succeeded now."""
        with self._changed:
            self._successes[entry] = self._now()
            if len(self._successes) > ENTRIES_KEPT:
                del self._successes[min(self._successes, key=self._successes.__getitem__)]

    def successes(self) -> Mapping[str, float]:
        """Return when each entry succeeded last, in seconds since 1970."""
        with self._changed:
            return dict(self._successes)

    def count(self, name: tuple[str, str, str], what: str, amount: int = 1) -> None:
        """Add *amount* to one counter."""
        counter = int(self._now() // _DAY), Counter(*name, what)
        if counter not in self._counted and len(self._counted) >= MAX_COUNTERS:
            # Task and model are the application's, and keep their counts: only tenants share a name.
            counter = counter[0], counter[1]._replace(tenant=name[1] and "other")
        self._counted[counter] += amount

    def count_run(self, task: str, what: str, amount: int = 1) -> None:
        """Count what a run did, for the task alone."""
        self.count((task, "", ""), what, amount)

    def count_time(self, task: str, what: str, milliseconds: int) -> None:
        """Count a time under the first bound that it does not exceed."""
        least = max(milliseconds, 0)
        within = (round(bound * 1000) for bound in BOUNDS if least <= round(bound * 1000))
        self.count_run(task, f"{what}:{next(within, 'inf')}")
        self.count_run(task, f"{what}_ms", least)

    def book(self, book: Book | None) -> None:
        """Count what a run paid."""
        if book is not None:
            for what, amount in book.amounts:
                self.count((book.task, book.tenant, book.model), what, amount)

    def book_late(self, key: Key, owner: Owner, book: Book) -> None:  # noqa: ARG002  # one place for all keys
        """Count, once for each owner, what a run paid that has no place in the record of *key*."""
        with self._changed:
            self.book_once(owner, book, known=False)

    def book_once(self, owner: Owner, book: Book | None, *, known: bool) -> None:
        """Count the same inside the store's lock; *known*: the run was counted as in doubt."""
        if book is None or owner in self._booked:
            return
        self._booked.add(owner)
        self.book(book)
        if known:
            self.count((book.task, book.tenant, book.model), "in_doubt", -1)

    def note_booked(self, owners: Iterable[Owner]) -> None:
        """Note that the record counted what *owners* paid, before it forgets them."""
        self._booked.update(owners)
