"""Puts the rows of a run into groups: as many as there is room for, and none that costs too much."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from askonce.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from askonce.rows import BadRow
    from producer.run.limits import Budget


class Groups:
    """The rows that are to be enqueued."""

    def __init__(self, rows: Iterable[Row | BadRow | None], budget: Budget) -> None:
        """Reserve from *budget* what each of *rows* can cost; None among them is a row that has not come."""
        self._rows, self._budget = iter(rows), budget
        #: The next row, where there was no room for it or it costs too much.
        self._held: Row | BadRow | None = None
        #: Rows that come before all others.
        self._again = deque[Row]()
        self.has_ended = False
        #: Whether the last group ended because the next row could cost too much.
        self.costs_too_much = False

    def put_back(self, rows: Iterable[Row]) -> None:
        """Return *rows* again with the next groups: they were not enqueued."""
        self._again.extend(rows)

    def next(self, room: int) -> list[Row | BadRow]:
        """Return the rows that are there, *room* at most and those that may be paid for."""
        group: list[Row | BadRow] = []
        self.costs_too_much = False
        if room <= 0:
            # Also without room it is known whether this was the last row.
            self._held = self._pull()
        while len(group) < room and (row := self._pull()) is not None:
            if isinstance(row, Row) and not self._budget.reserve(row.number, row.payload):
                self._held, self.costs_too_much = row, True
                break
            group.append(row)
        return group

    def _pull(self) -> Row | BadRow | None:
        row, self._held = self._held, None
        if row is None and self._again:
            return self._again.popleft()
        if row is None and not self.has_ended:
            try:
                row = next(self._rows)
            except StopIteration:
                self.has_ended = True
        return row
