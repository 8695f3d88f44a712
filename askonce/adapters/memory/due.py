"""Finds answers that go stale in memory; the rules of ``lua/going_stale.lua``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.due import GoingStale
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.adapters.memory.records import Records


class MemoryDue:
    """The answers of one process."""

    def __init__(self, records: Records) -> None:
        """Look into *records*."""
        self._records = records

    def going_stale(self, buckets: Sequence[int], task: str, within: float) -> list[GoingStale]:
        """Return answers of *task* that go stale *within* some seconds and are wanted."""
        with self._records.changed:
            chosen = {bucket % BUCKETS for bucket in buckets}
            return [each for each in self._wanted(task, within) if int(each.key[:2], 16) in chosen]

    def _wanted(self, task: str, within: float) -> Iterator[GoingStale]:
        now = self._records.now()
        for key in list(self._records.by_key):
            record = self._records.look(key)
            if record is None or record.task != task or record.flight != "idle":
                continue
            value = record.value_at(now)
            if value is None or not value.asked or now < record.not_before or record.failure_answers(now):
                continue
            left = round(value.fresh_until - now, 3)
            if 0 <= left <= within:
                age = round(now - value.stored_at, 3)
                yield GoingStale(key, record.tenant, record.version, record.payload, age, left)
