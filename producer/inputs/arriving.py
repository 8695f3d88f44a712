"""Hands rows on as they come: those that are there do not wait for the next one.

    stdin ──> a thread reads and parses ──> at most 500 rows ──> the run takes all that are there

The thread may wait in a read for ever. The run does not, so that it notices signals and the ends of its jobs.
"""

from __future__ import annotations

from collections import deque
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from askonce.rows import BadRow, Row

#: Rows that are read ahead.
_MOST: Final = 500
#: Seconds for which the next row is waited for at once.
_TICK: Final = 0.25


def as_they_come(rows: Iterable[Row | BadRow]) -> Iterator[Row | BadRow | None]:
    """Yield *rows*, and None whenever the next one is not there; an error comes after the rows before it."""
    reader = _Reader(rows)
    try:
        while (come := reader.take()) is not None:
            yield from come
            yield None
    finally:
        reader.leave()


class _Reader:
    """Reads rows in a thread, until there are no more or nobody wants them."""

    def __init__(self, rows: Iterable[Row | BadRow]) -> None:
        self._rows = rows
        self._come: deque[Row | BadRow] = deque()
        self._changed = Condition()
        self._has_ended = self._is_left = False
        self._trouble: Exception | None = None
        # A daemon: the end of the process does not wait for a silent pipe.
        Thread(target=self._run, name="producer-rows", daemon=True).start()

    def take(self) -> list[Row | BadRow] | None:
        """Return the rows that have come; wait a moment where there is none, and return None at the end."""
        with self._changed:
            if not self._come and not self._has_ended:
                self._changed.wait(_TICK)
            come = list(self._come)
            self._come.clear()
            self._changed.notify()
            if come or not self._has_ended:
                return come
        if self._trouble is not None:
            raise self._trouble
        return None

    def leave(self) -> None:
        """Want no more rows."""
        with self._changed:
            self._is_left = True
            self._changed.notify()

    def _run(self) -> None:
        try:
            for row in self._rows:
                if not self._put(row):
                    break
        except Exception as trouble:  # noqa: BLE001  # the run raises it
            self._trouble = trouble
        with self._changed:
            self._has_ended = True
            self._changed.notify()

    def _put(self, row: Row | BadRow) -> bool:
        """Hand *row* on as soon as there is room; return whether more are wanted."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._come) < _MOST or self._is_left)
            self._come.append(row)
            self._changed.notify()
            return not self._is_left
