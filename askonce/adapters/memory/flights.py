"""Looks over the jobs of the store in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from askonce.adapters.memory.shown import dead_job
from askonce.flights import NO_FIELDS
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from askonce.adapters.memory.record import MemoryRecord
    from askonce.adapters.memory.records import Records
    from askonce.flights import Names
    from askonce.job import Key
    from askonce.record import Snapshot


class MemoryFlights:
    """The jobs of one store, behind its lock."""

    def __init__(self, records: Records, show: Callable[[Key], Snapshot]) -> None:
        """Look over *records*; *show* returns one of them, under the lock."""
        self._records, self._show = records, show

    def counts(self) -> list[int]:
        """Return how many jobs are in flight in each bucket."""
        return [len(self.keys([bucket])) for bucket in range(BUCKETS)]

    def keys(self, buckets: Sequence[int]) -> list[Key]:
        """Return the keys of the jobs in flight in *buckets*."""
        return [key for key, record in self._of(buckets) if record.flight != "idle"]

    def find(
        self, buckets: Sequence[int], names: Names, fields: Mapping[str, object] = NO_FIELDS
    ) -> list[Key]:
        """Return the jobs in flight or in quarantine in *buckets* that have these *names* and *fields*."""
        now = self._records.now()
        return [
            key
            for key, record in self._of(buckets)
            if (record.flight != "idle" or dead_job(key, record, now, payload=False) is not None)
            and all(wanted in (None, getattr(record, name)) for name, wanted in names._asdict().items())
            and (not fields or fields.items() <= orjson.loads(record.payload or b"{}").items())
        ]

    def show(self, keys: Sequence[Key]) -> list[Snapshot]:
        """Return records without the data of their answers."""
        with self._records.changed:
            found = [self._show(key)._replace(late=None) for key in keys]
        return [
            each._replace(
                value=each.value and replace(each.value, data=b""),
                failure=each.failure and replace(each.failure, fallback=None),
            )
            for each in found
        ]

    def walk(self) -> Iterator[list[Key]]:
        """Yield the keys of all records."""
        with self._records.changed:
            keys = [key for key in list(self._records.by_key) if self._records.load(key) is not None]
        yield keys

    def _of(self, buckets: Sequence[int]) -> list[tuple[Key, MemoryRecord]]:
        with self._records.changed:
            found = [(key, self._records.load(key)) for key in list(self._records.by_key)]
        chosen = {f"{bucket:02x}" for bucket in buckets}
        return [(key, record) for key, record in found if record is not None and key[:2] in chosen]
