"""Reads and folds the counters on Redis: ``...:tally`` beside each index, and a hash for each past day."""

from __future__ import annotations

from collections import Counter as Sums
from typing import TYPE_CHECKING

from askonce.record import BUCKETS
from askonce.tally import DAYS_KEPT, Counter

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from askonce.adapters.redis.scripts import Call, Scripts
    from askonce.job import Key, Owner
    from askonce.tally import Book

_DAY = 86_400
#: Milliseconds: the sum of all days has no end that anyone sees.
_FOR_EVER = 100 * 365 * _DAY * 1000
#: Begins the name of a field that is no counter: it marks what is in the sum.
_MARK = b"bucket\n"


class RedisTally:
    """The counters of one namespace."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts = scripts

    def totals(self) -> Mapping[Counter, int]:
        """Return every counter since the store began."""
        # The buckets come first: what leaves them in between is in the sum, with its mark.
        buckets, [total] = self._buckets(), self._folded("total")
        marks = {mark.partition(".")[::2] for mark in _marks_in(total)}
        folded = {(int(bucket), int(day)) for bucket, day in marks}
        sums = Sums(_to_counters(total))
        for _, counter, amount in _over(buckets, folded):
            sums[counter] += amount
        return sums

    def of_days(self, days: range) -> Mapping[int, Mapping[Counter, int]]:
        """Return the counters of each of *days* that has any: whole days in UTC, counted from 1970."""
        buckets, found = self._buckets(), dict(zip(days, self._folded(*map(str, days)), strict=True))
        folded = {(int(bucket), day) for day, counted in found.items() for bucket in _marks_in(counted)}
        sums = {day: Sums(_to_counters(counted)) for day, counted in found.items()}
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
        for (bucket, day), counted in past.items():
            self._fold_one(bucket, day, counted)
        return len(past)

    def _fold_one(self, bucket: int, day: int, counted: list[tuple[Counter, int]]) -> None:
        amounts = tuple(word for counter, amount in counted for word in ("\n".join(counter), amount))
        calls: list[Call] = [
            ((f"{self._scripts.tally_key}{day}",), (bucket, DAYS_KEPT * _DAY * 1000, *amounts)),
            ((f"{self._scripts.tally_key}total",), (f"{bucket}.{day}", _FOR_EVER, *amounts)),
        ]
        self._scripts.run_all("fold", calls)
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
    buckets: Sequence[Mapping[bytes, bytes]], folded: Container[tuple[int, int]]
) -> Iterator[tuple[int, Counter, int]]:
    """Yield each counter of each day without those of the buckets and days that are *folded*.

    Most buckets have the same ones, so a name is read once for all.
    """
    days: dict[bytes, int] = {}
    sums: dict[bytes, int] = {}
    for bucket, counted in enumerate(buckets):
        for field, amount in counted.items():
            if field not in days:
                days[field] = int(field.partition(b"\n")[0])
            if (bucket, days[field]) not in folded:
                sums[field] = sums.get(field, 0) + int(amount)
    for field, total in sums.items():
        yield *_to_day_and_counter(field), total


def _marks_in(counted: Iterable[bytes]) -> Iterator[str]:
    """Yield what ``fold`` has marked in a sum: a bucket, and in the sum of all days its day too."""
    return (name.removeprefix(_MARK).decode() for name in counted if name.startswith(_MARK))


def _to_day_and_counter(field: bytes) -> tuple[int, Counter]:
    day, *counter = field.decode().split("\n")
    return int(day), Counter(*counter)


def _to_counters(counted: Mapping[bytes, bytes]) -> dict[Counter, int]:
    found = ((field.decode().split("\n"), int(amount)) for field, amount in counted.items())
    return {Counter(*names): amount for names, amount in found if len(names) == len(Counter._fields)}
