"""Whether a file is what it looks like: one line for the file, not one for each of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.rows import BadRow
from producer.inputs.reading import InputInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from askonce.rows import Row

#: So many rows that are no payload, and none that is, are not rows.
_FIRST = 100


class Doubt:
    """Holds back the first bad rows of a file until one is a payload."""

    def __init__(self, name: str, what: str) -> None:
        """Name the file, and what it seems to be: ``JSON lines``."""
        self._name, self._what = name, what
        self._held: list[BadRow] = []
        self.open = True

    def cleared(self, row: Row | BadRow) -> list[BadRow]:
        """Return what was held back, once *row* shows what the file is.

        Raises:
            InputInvalid: none of the first rows is a payload.
        """
        # A bad row with a field is an object.
        if isinstance(row, BadRow) and not row.field:
            self._held.append(row)
            if len(self._held) == _FIRST:
                raise self._refusal()
            return []
        self.open = False
        return self._held

    def ended(self) -> list[BadRow]:
        """Return what is held back at the end of the file: one bad row alone says all itself.

        Raises:
            InputInvalid: none of several rows is a payload.
        """
        if self.open and len(self._held) > 1:
            raise self._refusal()
        return self._held if self.open else []

    def _refusal(self) -> InputInvalid:
        first, count = self._held[0], len(self._held)
        shown = f"{first.place or 'the first'}: {first.reason}"
        return InputInvalid(
            self._name, f"is not {self._what}: none of its first {count} rows is an object; {shown}"
        )


def unless_none(rows: Iterable[Row | BadRow], name: str, what: str) -> Iterator[Row | BadRow]:
    """Yield *rows*; raise InputInvalid before the first where none of them is a payload."""
    doubt = Doubt(name, what)
    for row in rows:
        if doubt.open:
            yield from doubt.cleared(row)
        if not doubt.open:
            yield row
    yield from doubt.ended()
