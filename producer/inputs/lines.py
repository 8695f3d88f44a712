"""Reads JSON lines: one object a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from askonce.rows import lines_of, parse_row, too_long
from producer.inputs.doubt import Doubt, unless_none
from producer.inputs.reading import InputInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.rows import BadRow, Row
    from producer.inputs.columns import Columns

_WHAT = "JSON lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The form of JSON lines."""

    name: str
    columns: Columns

    def rows(self, stream: BinaryIO, numbers: Iterator[int]) -> Iterator[Row | BadRow]:
        """Yield each line that is not blank."""
        return unless_none(self._rows(stream, numbers), self.name, _WHAT, self.columns)

    def check(self, stream: BinaryIO) -> int:
        """Count the rows.

        Raises:
            InputInvalid: the lines are in another encoding, or no objects.
        """
        doubt = Doubt(self.name, _WHAT, self.columns)
        count = unreadable = readable = first = 0
        for at, line in lines_of(stream):
            count += 1
            if doubt.open:
                doubt.cleared(self._row(count, at, line))
            if line is None or line.isascii():
                continue
            if _is_utf8(line):
                readable += 1
            else:
                unreadable += 1
                first = first or at
        # A damaged line among others is a bad row. Where no letter beyond ASCII is UTF-8, it is the encoding.
        if unreadable > 1 and not readable:
            raise InputInvalid(self.name, "is not UTF-8: pass --encoding, such as cp1252", first)
        doubt.ended()
        return count

    def _rows(self, stream: BinaryIO, numbers: Iterator[int]) -> Iterator[Row | BadRow]:
        for (at, line), number in zip(lines_of(stream), numbers, strict=False):
            yield self._row(number, at, line)

    def _row(self, number: int, at: int, line: bytes | None) -> Row | BadRow:
        place = f"{self.name}:{at}"
        return too_long(number, place) if line is None else parse_row(number, line, place)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
