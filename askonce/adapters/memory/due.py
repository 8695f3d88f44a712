"""Finds answers in memory by when they go stale; the rules of ``lua/going_stale.lua`` and ``kept.lua``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.due import ANY, GoingStale, KeptAnswer
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.adapters.memory.records import Records
    from askonce.due import Meant, Walked
    from askonce.job import Key


class MemoryDue:
    """The answers of one process."""

    def __init__(self, records: Records) -> None:
        """Look into *records*."""
        self._records = records

    def counts(self) -> list[int]:
        """Return how many answers each bucket has."""
        with self._records.changed:
            found = [int(each.key[:2], 16) for each in self._answers()]
            return [found.count(bucket) for bucket in range(BUCKETS)]

    def answers(self, walks: Sequence[Walked], meant: Meant = ANY) -> tuple[list[KeptAnswer], list[Walked]]:
        """Return all answers that are meant in the buckets of *walks*."""
        with self._records.changed:
            chosen = {walk.bucket for walk in walks}
            return [
                each
                for each in self._answers()
                if int(each.key[:2], 16) in chosen
                and meant.task in (None, each.task)
                and meant.tenant in (None, each.tenant)
                and (meant.tag is None or meant.tag in each.tags)
            ], []

    def look(self, key: Key) -> KeptAnswer | None:
        """Return the answer of *key*, fresh or stale."""
        with self._records.changed:
            return next((each for each in self._answers() if each.key == key), None)

    def _answers(self) -> Iterator[KeptAnswer]:
        now = self._records.now()
        for key in list(self._records.by_key):
            record = self._records.look(key)
            value = record.value_at(now) if record is not None else None
            if record is None or value is None:
                continue
            age, kept_for = round(now - value.stored_at, 3), round(value.kept_until - now, 3)
            fresh_for = max(0.0, round(value.fresh_until - now, 3))
            names = record.task, record.version, record.tenant, record.tags
            yield KeptAnswer(key, *names, age, fresh_for, kept_for)

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
