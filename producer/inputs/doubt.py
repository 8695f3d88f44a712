"""Whether a file is what it looks like: one line for the file, not one for each of its rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from askonce.rows import Row
from producer.inputs.columns import Columns, listed
from producer.inputs.reading import InputInvalid, renamed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from askonce.rows import BadRow

#: So many rows that cannot be used, and none that can, are not rows.
_FIRST = 100


class Doubt:
    """Holds back the first rows of a file that cannot be used, until one can.

    Where the caller maps columns, so are rows that all lack the same field: the column may be a slip.
    """

    def __init__(self, name: str, what: str, columns: Columns) -> None:
        """Name the file, and what it seems to be: ``JSON lines``."""
        self._name, self._what, self._columns = name, what, columns
        self._held: list[Row | BadRow] = []
        #: Required fields that no row has had.
        self._lacking = set(columns.required if columns.mapped else ())
        self._first: Row | None = None
        self.open = True

    def cleared(self, row: Row | BadRow) -> list[Row | BadRow]:
        """Return what was held back, once *row* shows what the file is.

        Raises:
            InputInvalid: none of the first rows can be used.
        """
        if self._is_doubtful(row):
            self._held.append(row)
            if len(self._held) == _FIRST:
                raise self._refusal()
            return []
        self.open = False
        return self._held

    def ended(self) -> list[Row | BadRow]:
        """Return what is held back at the end of the file: one bad row alone says all itself.

        Raises:
            InputInvalid: none of several rows can be used.
        """
        if self.open and (len(self._held) > 1 or self._first is not None):
            raise self._refusal()
        return self._held if self.open else []

    def _is_doubtful(self, row: Row | BadRow) -> bool:
        if not isinstance(row, Row):
            # A bad row with a field is an object.
            return not row.field
        self._lacking.intersection_update(self._columns.missing(row.payload))
        self._first = self._first or row
        return bool(self._lacking)

    def _refusal(self) -> InputInvalid:
        count = len(self._held)
        if self._first is not None:
            return InputInvalid(self._name, self._why_lacking(self._first, count))
        first = self._held[0]
        assert not isinstance(first, Row)
        shown = f"{first.place or 'the first'}: {first.reason}"
        return InputInvalid(
            self._name, f"is not {self._what}: none of its first {count} rows is an object; {shown}"
        )

    def _why_lacking(self, first: Row, count: int) -> str:
        none = "its only row has no field" if count == 1 else f"none of its first {count} rows has a field"
        field = next(each for each in self._columns.required if each in self._lacking)
        column = self._columns.mapped.get(field)
        why = (
            f"{field}: {self._columns.way_out()}"
            if column is None
            else f"{column}, which --map {field} names"
        )
        shown = listed(first.payload)
        return f"{none} {why}{f'; the first one has {shown}' * bool(shown)}"


def unless_none(
    rows: Iterable[Row | BadRow], name: str, what: str, columns: Columns
) -> Iterator[Row | BadRow]:
    """Yield *rows* with the fields of *columns*; raise InputInvalid first where none can be used."""
    found = _unless_none(rows, Doubt(name, what, columns))
    return (_mapped(row, columns) for row in found) if columns.mapped else found


def _unless_none(rows: Iterable[Row | BadRow], doubt: Doubt) -> Iterator[Row | BadRow]:
    for row in rows:
        if doubt.open:
            yield from doubt.cleared(row)
        if not doubt.open:
            yield row
    yield from doubt.ended()


def _mapped(row: Row | BadRow, columns: Columns) -> Row | BadRow:
    return replace(row, payload=renamed(dict(row.payload), columns.mapped)) if isinstance(row, Row) else row
