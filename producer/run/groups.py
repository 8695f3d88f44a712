"""Puts the rows of a run into groups: as many as there is room for, and none that costs too much."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from askonce.rows import BadRow, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from producer.run.limits import Budget


class Groups:
    """The rows that are to be enqueued."""

    def __init__(self, rows: Iterable[Row | BadRow], budget: Budget) -> None:
        """Reserve from *budget* what each of *rows* can cost."""
        self._rows, self._budget = _Pushable(rows), budget

    def next(self, room: int) -> list[Row | BadRow]:
        """Return the next rows, *room* at most; none at the end, and while the next one costs too much."""
        group: list[Row | BadRow] = []
        while len(group) < room and (row := next(self._rows, None)) is not None:
            if isinstance(row, Row) and not self._budget.reserve(row.number, row.payload):
                self._rows.push(row)
                break
            group.append(row)
        return group

    def is_empty(self) -> bool:
        """Return whether no row is left; reads one to know that."""
        row = next(self._rows, None)
        if row is not None:
            self._rows.push(row)
        return row is None


class _Pushable:
    """Rows, of which one can be put back."""

    def __init__(self, rows: Iterable[Row | BadRow]) -> None:
        self._rows, self._pushed = iter(rows), deque[Row | BadRow]()

    def __iter__(self) -> Iterator[Row | BadRow]:
        return self

    def __next__(self) -> Row | BadRow:
        return self._pushed.popleft() if self._pushed else next(self._rows)

    def push(self, row: Row | BadRow) -> None:
        self._pushed.append(row)
