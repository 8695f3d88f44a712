"""Holds back rows whose key has another content of the same run under way, until that has its end.

The earlier row keeps its answer, and what it paid for is not lost; it names the later row. Within one group
only the last content of a key is enqueued.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from askonce.job import Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.rows import Row
    from producer.run.report import Report


class Held:
    """The rows that are held back."""

    def __init__(self) -> None:
        """Hold no row."""
        self._rows: dict[Key, list[Row]] = {}

    def __len__(self) -> int:
        """Return how many rows are held."""
        return sum(map(len, self._rows.values()))

    def add(self, key: Key, row: Row) -> None:
        """Hold *row* until every row that has *key* under way has its end."""
        self._rows.setdefault(key, []).append(row)

    def end(self, report: Report) -> None:
        """Name in the *report* of a row that ends the first row that waits for it."""
        key = Key(report.key or "")
        if key in self._rows:
            report.later_row = self._rows[key][0].number

    def freed(self, is_under_way: Callable[[Key], object]) -> list[Row]:
        """Return the rows that wait for nothing any more; other content of their keys waits for them."""
        free = [key for key in self._rows if not is_under_way(key)]
        return [row for key in free for row in self._pop(key)]

    def _pop(self, key: Key) -> list[Row]:
        rows = self._rows.pop(key)
        alike = list(takewhile(lambda row: row.payload == rows[0].payload, rows))
        if others := rows[len(alike) :]:
            self._rows[key] = others
        return alike
