"""Reads a table of text, CSV: a header, then one row a record. An empty cell is an absent field."""

from __future__ import annotations

import csv
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from askonce.rows import MAX_LINE_BYTES, BadRow, Row
from producer.inputs.columns import listed
from producer.inputs.reading import InputInvalid, renamed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer.inputs.columns import Columns

#: What may separate the cells where the caller does not say it.
DELIMITERS = ",;\t|"
#: Excel's own first line, which names the delimiter.
_SEP = "sep="
#: What the parser's words mean to a person; its own text may change.
_WORDS = {
    "unexpected end of data": "the file ends inside a quoted cell of this row",
    "field larger than": f"a cell is longer than {MAX_LINE_BYTES} characters: is a quote not closed?",
    "new-line character": "a lone CR outside quotes: lines must end with LF or CRLF",
    "expected after": 'text follows a closing quote: inside a quoted cell a quote is written twice, ""',
}


class _Field(NamedTuple):
    name: str
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The form of a CSV."""

    name: str
    delimiter: str
    columns: Columns

    def rows(self, stream: BinaryIO, numbers: Iterator[int]) -> Iterator[Row | BadRow]:
        """Yield each record that has a cell which is not empty.

        Raises:
            InputInvalid: the header cannot be used, or a record has not as many cells; names the line.
        """
        records = self._records(stream)
        at, header = next(records, (1, []))
        fields = self._fields(at, header)
        for at, cells in records:
            yield Row(
                number=next(numbers),
                payload={name: cells[column] for name, column in fields if cells[column]},
                place=f"{self.name}:{at}",
            )

    def check(self, stream: BinaryIO) -> int:
        """Read all records and count them; errors as ``rows``."""
        records = self._records(stream)
        self._fields(*next(records, (1, [])))
        return sum(1 for _ in records)

    def _records(self, stream: BinaryIO) -> Iterator[tuple[int, list[str]]]:
        """Yield the line and the cells of each record; all of them have as many as the first."""
        csv.field_size_limit(MAX_LINE_BYTES)
        text = _Text(stream, self.name)
        reader = csv.reader(text, delimiter=self.delimiter, strict=True)
        width = 0
        while True:
            text.begin()
            try:
                cells = next(reader, None)
            except csv.Error as exc:
                raise InputInvalid(self.name, _in_words(exc), text.began) from None
            if cells is None:
                return
            if not any(cells) and width:
                continue
            if len(cells) != (width or len(cells)):
                shown = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
                cut = ": is the file cut off?" if text.ended_in_a_line else ""
                raise InputInvalid(self.name, f"{shown}, but the header has {width}{cut}", text.began)
            if not width and text.began == 1 and _is_sep(cells, self.delimiter):
                continue
            width = width or len(cells)
            if width:
                yield text.began, cells

    def _fields(self, at: int, header: list[str]) -> list[_Field]:
        """Return the fields of a row, and where each is."""
        if not header:
            return []
        places = {name: column for column, name in enumerate(cell.strip() for cell in header)}
        if "" in places:
            raise InputInvalid(
                self.name, f"column {places[''] + 1} of the header has no name: give it one", at
            )
        if len(places) < len(header):
            raise InputInvalid(self.name, "two columns of the header have the same name", at)
        shown = listed(places)
        has = f"it has {shown}" if shown else "does its first line hold data? it must name the columns"
        for field, column in self.columns.mapped.items():
            if column not in places:
                why = f"the header has no column {column}, which --map {field} names; {has}"
                raise InputInvalid(self.name, why, at)
        if missing := self.columns.missing(places):
            why = f"the header has no column {', '.join(missing)}: {self.columns.way_out()}; {has}"
            raise InputInvalid(self.name, why, at)
        fields = renamed(dict(places), self.columns.mapped)
        return [_Field(name, column) for name, column in fields.items()]


def delimiter_of(head: bytes, name: str) -> str | None:
    """Return what separates the cells of a table that begins with *head*; None where nothing does.

    Raises:
        InputInvalid: several characters may.
    """
    text = head.decode(errors="replace")
    first = text.lstrip().partition("\n")[0].strip("\r")
    if len(first) == len(_SEP) + 1 and first.lower().startswith(_SEP) and first[-1] in DELIMITERS:
        return first[-1]
    found = [each for each in DELIMITERS if max(_widths(first, each), default=0) > 1]
    if len(found) > 1:
        # Of a header such as "name, first;age" only one character gives the rows as many cells.
        found = [each for each in found if _fits(text, each)] or found
    if len(found) > 1:
        shown = " or ".join("tab" if each == "\t" else each for each in found)
        raise InputInvalid(name, f"its cells may be separated by {shown}: pass --delimiter")
    return found[0] if found else None


def _fits(text: str, delimiter: str) -> bool:
    """Return whether the first records have as many cells as the header; False where there are none."""
    widths = _widths(text[: text.rfind("\n") + 1], delimiter)[:20]
    return len(widths) > 1 and len(set(widths)) == 1


def _widths(text: str, delimiter: str) -> list[int]:
    """Return how many cells each record of *text* has, up to one that is no CSV."""
    widths: list[int] = []
    with suppress(csv.Error):
        records = csv.reader(StringIO(text, newline="\n"), delimiter=delimiter)
        widths.extend(len(cells) for cells in records if any(cells))
    return widths


def _is_sep(cells: list[str], delimiter: str) -> bool:
    return delimiter.join(cells).lower() == f"{_SEP}{delimiter}"


def _in_words(exc: csv.Error) -> str:
    return next((words for start, words in _WORDS.items() if start in str(exc)), "is not CSV")


class _Text:
    """The lines of a stream as text; each record of them has a limit."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name
        self._line = self._size = 0
        #: The line where the record begins.
        self.began = 1
        #: Whether the last line has no end.
        self.ended_in_a_line = False

    def begin(self) -> None:
        """Count from here: the next line begins a record."""
        self.began, self._size = self._line + 1, 0

    def __iter__(self) -> _Text:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_LINE_BYTES)
        if not line:
            raise StopIteration
        self._line += 1
        self._size += len(line)
        if self._size > MAX_LINE_BYTES or (len(line) == MAX_LINE_BYTES and not line.endswith(b"\n")):
            reason = f"a row is longer than {MAX_LINE_BYTES} bytes: is a quote not closed?"
            raise InputInvalid(self._name, reason, self.began)
        self.ended_in_a_line = not line.endswith(b"\n")
        try:
            return line.decode()
        except UnicodeDecodeError:
            raise InputInvalid(
                self._name, "is not UTF-8: pass --encoding, such as cp1252", self._line
            ) from None
