"""Puts the rows of a run into groups: as many as there is room for, and none that costs too much."""

from __future__ import annotations

from collections import deque
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from askonce.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from askonce.rows import BadRow
    from producer.run.limits import Budget


class Groups:
    """The rows that are to be enqueued."""

    def __init__(
        self,
        rows: Iterable[Row | BadRow | None],
        budget: Budget,
        group_of: Callable[[int], int] = lambda _row: 0,
        how: Callable[[int], object] = lambda _row: None,
    ) -> None:
        """Reserve from *budget* what each of *rows* can cost; None among them is a row that has not come.

        *group_of* returns which group an earlier start sent a row in, or 0. Such a group is sent as one
        again: of the contents of one key in it, the same one is asked for. *how* returns how a row is asked
        for: those of a group are asked for alike.
        """
        self._rows, self._budget, self._group_of, self._how = iter(rows), budget, group_of, how
        #: The next row, where there was no room for it or it costs too much.
        self._next: Row | BadRow | None = None
        #: Rows that come before all others.
        self._again = deque[Row]()
        self.has_ended = False
        #: Whether the last group ended because the next row could cost too much.
        self.costs_too_much = False

    @property
    def has_put_back(self) -> bool:
        """Whether rows that were put back wait for room."""
        return bool(self._again)

    def put_back(self, rows: Iterable[Row]) -> None:
        """Return *rows* again, in groups of their own: they were not enqueued."""
        self._again.extend(rows)

    def next(self, room: int) -> list[Row | BadRow]:
        """Return the rows that are there, *room* at most and those that may be paid for."""
        self.costs_too_much = False
        if self._again:
            how = self._how(self._again[0].number)
            alike = takewhile(lambda row: self._how(row.number) == how, islice(self._again, max(0, room)))
            return [self._again.popleft() for _ in list(alike)]
        group: list[Row | BadRow] = []
        kind: object = None
        if room <= 0:
            # Also without room it is known whether this was the last row.
            self._next = self._pull()
        # Rows of an earlier start are with the workers already: they need no room.
        while (len(group) < room or self._was_sent(group)) and (row := self._pull()) is not None:
            before, kind = kind, (self._group_of(row.number), self._how(row.number))
            if group and kind != before:
                self._next = row
                break
            if isinstance(row, Row) and not self._budget.reserve(row.number, row.payload):
                self._next, self.costs_too_much = row, True
                break
            group.append(row)
        return group

    def _was_sent(self, group: list[Row | BadRow]) -> bool:
        return bool(group) and self._group_of(group[0].number) > 0

    def _pull(self) -> Row | BadRow | None:
        row, self._next = self._next, None
        if row is None and not self.has_ended:
            try:
                row = next(self._rows)
            except StopIteration:
                self.has_ended = True
        return row
