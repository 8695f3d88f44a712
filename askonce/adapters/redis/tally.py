"""Reads and folds the counters on Redis: ``...:tally`` beside each index, and a hash for each past day."""

from __future__ import annotations

from collections import Counter as Sums
from typing import TYPE_CHECKING

from askonce.errors import RecordDamaged, StoreUnavailable
from askonce.record import BUCKETS
from askonce.tally import DAYS_KEPT, ENTRIES_KEPT, Counter

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from askonce.adapters.redis.scripts import Scripts
    from askonce.job import Key, Owner
    from askonce.tally import Book

_DAY = 86_400
#: Begins the name of a field that is no counter: the last day of a bucket that is in this sum.
_MARK = b"folded\n"


class RedisTally:
    """The counters of one namespace."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts, self._successes = scripts, f"{scripts.tally_key}successes"

    def totals(self) -> Mapping[Counter, int]:
        """Return every counter since the store began."""
        # The buckets come first: what leaves them in between is in the sum, with its mark.
        buckets, [total] = self._buckets(), self._folded("total")
        folded = {bucket: range(last + 1) for bucket, last in _marks_in(total)}
        sums = Sums(_to_counters(total))
        for _, counter, amount in _over(buckets, folded):
            sums[counter] += amount
        return sums

    def of_days(self, days: range) -> Mapping[int, Mapping[Counter, int]]:
        """Return the counters of each of *days* that has any: whole days in UTC, counted from 1970."""
        buckets, found = self._buckets(), self._folded(*map(str, days))
        folded: dict[int, set[int]] = {}
        for bucket, day in (mark for counted in found for mark in _marks_in(counted)):
            folded.setdefault(bucket, set()).add(day)
        sums = {day: Sums(_to_counters(counted)) for day, counted in zip(days, found, strict=True)}
        for day, counter, amount in _over(buckets, folded):
            if day in sums:
                sums[day][counter] += amount
        return {day: counted for day, counted in sums.items() if counted}

    def book_late(self, key: Key, owner: Owner, book: Book) -> None:
        """Count, once for each owner, what a run paid that has no place in the record of *key*."""
        self._scripts.run("book", key, owner, book.entry)

    def fold(self) -> int:
        """Add the counters of past days together; return how many buckets had any."""
        keys = ((self._scripts.bucket_key(bucket, "tally"),) for bucket in range(BUCKETS))
        today = self._scripts.run_all("today", [(key, ()) for key in keys])
        past: dict[tuple[int, int], list[tuple[Counter, int]]] = {}
        for bucket, day, counter, amount in self._in_buckets():
            # Over everywhere once the next one is: the servers of a cluster have clocks of their own.
            if day < today[bucket] - 1:
                past.setdefault((bucket, day), []).append((counter, amount))
        # The mark of a bucket is its last day: an earlier one would be refused after it.
        for bucket, day in sorted(past):
            self._fold_one(bucket, day, past[bucket, day])
        return len(past)

    def succeeded(self, entry: str) -> None:
        """Note that a job of this *entry* of the schedule succeeded now."""
        try:
            self._scripts.run_all("succeeded", [((self._successes,), (entry, ENTRIES_KEPT))])
        except RecordDamaged as damaged:
            # No record, but one hash for all entries: without it the store is of no use here.
            raise StoreUnavailable(verb="succeeded", reason=damaged.reason) from None

    def successes(self) -> Mapping[str, float]:
        """Return when each entry succeeded last, in seconds since 1970."""
        [found] = self._scripts.hashes([self._successes])
        return {entry.decode(errors="replace"): int(at) / 1000 for entry, at in found.items()}

    def _fold_one(self, bucket: int, day: int, counted: list[tuple[Counter, int]]) -> None:
        amounts = [word for counter, amount in counted for word in ("\n".join(counter), amount)]
        sums = f"{self._scripts.tally_key}total", f"{self._scripts.tally_key}{day}"
        self._scripts.run_all("fold", [(sums, (bucket, day, DAYS_KEPT * _DAY * 1000, *amounts))])
        fields = ["\n".join((str(day), *counter)) for counter, _ in counted]
        self._scripts.send("reap", ("HDEL", self._scripts.bucket_key(bucket, "tally"), *fields))

    def _folded(self, *names: str) -> list[dict[bytes, bytes]]:
        return self._scripts.hashes([f"{self._scripts.tally_key}{name}" for name in names])

    def _in_buckets(self) -> Iterator[tuple[int, int, Counter, int]]:
        for bucket, counted in enumerate(self._buckets()):
            for field, amount in counted.items():
                yield bucket, *_to_day_and_counter(field), int(amount)

    def _buckets(self) -> list[dict[bytes, bytes]]:
        names = [self._scripts.bucket_key(bucket, "tally") for bucket in range(BUCKETS)]
        return self._scripts.hashes(names)


def _over(
    buckets: Sequence[Mapping[bytes, bytes]], folded: Mapping[int, Container[int]]
) -> Iterator[tuple[int, Counter, int]]:
    """Yield each counter of each day, without the days of each bucket that are *folded*.

    Most buckets have the same ones, so a name is read once for all.
    """
    days: dict[bytes, int] = {}
    sums: dict[bytes, int] = {}
    for bucket, counted in enumerate(buckets):
        without = folded.get(bucket, ())
        for field, amount in counted.items():
            if field not in days:
                days[field] = int(field.partition(b"\n")[0])
            if days[field] not in without:
                sums[field] = sums.get(field, 0) + int(amount)
    for field, total in sums.items():
        yield *_to_day_and_counter(field), total


def _marks_in(counted: Mapping[bytes, bytes]) -> Iterator[tuple[int, int]]:
    """Yield each bucket of a sum, and its last day that ``fold`` has added."""
    for name, day in counted.items():
        if name.startswith(_MARK):
            yield int(name.removeprefix(_MARK)), int(day)


def _to_day_and_counter(field: bytes) -> tuple[int, Counter]:
    day, *counter = field.decode().split("\n")
    return int(day), Counter(*counter)


def _to_counters(counted: Mapping[bytes, bytes]) -> dict[Counter, int]:
    found = ((field.decode().split("\n"), int(amount)) for field, amount in counted.items())
    return {Counter(*names): amount for names, amount in found if len(names) == len(Counter._fields)}
