"""Lays names and numbers out in columns, so that they fit into the terminal that they are shown on."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from askonce.cli.exits import is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BETWEEN = "  "


class _Laid(NamedTuple):
    """A table as lines."""

    lines: list[str]
    #: That of all columns but names that have a line of their own.
    width: int
    left_out: list[str]


class Table(NamedTuple):
    """Rows of cells, the heads first. A column without a cell is not shown."""

    rows: Sequence[Sequence[str]]
    #: The first columns are names: where there is no room they have a line of their own.
    names: int
    #: So many columns have their cells on the left.
    left: int
    #: The last columns that may be left out where there is no room.
    optional: int = 0

    def fitted(self, room: int | None) -> tuple[list[str], list[str]]:
        """Return the lines, of at most *room* characters where names let them, and the heads left out."""
        laid = self._laid(0, None)
        for names_by_themselves in (False, True):
            for left_out in range(self.optional + 1):
                laid = self._laid(left_out, room if names_by_themselves else None)
                if room is None or laid.width <= room:
                    return laid.lines, laid.left_out
        return laid.lines, laid.left_out

    def _laid(self, left_out: int, room: int | None) -> _Laid:
        """Lay the rows out without so many columns; names that may take *room* stand above the others."""
        heads, *rows = self.rows
        shown = [n for n in range(len(heads)) if not rows or any(row[n] for row in rows)]
        kept = [n for n in shown if n < len(heads) - left_out]
        above, beside = (
            ([], kept)
            if room is None
            else (
                [n for n in kept if n < self.names],
                [n for n in kept if n >= self.names],
            )
        )
        widths = {n: max(width_of(row[n]) for row in self.rows) for n in beside}
        lines, indent = list[str](), _BETWEEN * bool(above)
        for row in self.rows:
            names = [row[n] for n in above if row[n]]
            together = _BETWEEN.join(names)
            lines += names if room is not None and width_of(together) > room else [together] * bool(above)
            lines.append((indent + _BETWEEN.join(self._cell(row[n], n, widths[n]) for n in beside)).rstrip())
        width = len(indent) + sum(widths.values()) + len(_BETWEEN) * (len(beside) - 1)
        return _Laid(lines, width, [heads[n] for n in shown if n not in kept])

    def _cell(self, text: str, column: int, width: int) -> str:
        blanks = " " * (width - width_of(text))
        return text + blanks if column < self.left else blanks + text


def room_of_stdout() -> int | None:
    """Return how many characters a line of the terminal has; None where stdout is none."""
    if not is_terminal(sys.stdout):
        return None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except OSError:
        return None


def width_of(text: str) -> int:
    """Return how many columns of a terminal *text* takes."""
    return len(text) if text.isascii() else sum(_widths(text))


def _widths(text: str) -> Iterable[int]:
    for each in text:
        if unicodedata.category(each) in ("Mn", "Me", "Cf"):
            yield 0
        else:
            yield 2 if unicodedata.east_asian_width(each) in "WF" else 1
