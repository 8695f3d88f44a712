"""What a caller says about the inputs, and the one line that says why an input cannot be read."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from askonce.line import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")

Format = Literal["jsonl", "json", "csv", "transcripts"]

#: A tab by its name: few shells pass the character itself.
_TAB = {"tab": "\t", "\\t": "\t"}


class InputInvalid(Exception):
    """An input cannot be read; the text is one line, and quotes nothing of the content."""

    def __init__(self, name: str, reason: str, row: int | None = None) -> None:
        """Name the file or the option, and the line of the file where one is at fault."""
        super().__init__(name, reason, row)
        self.name, self.reason, self.row = name, reason, row

    def __str__(self) -> str:
        place = self.name if self.row is None else f"{self.name}:{self.row}"
        return one_line(f"{place}: {self.reason}")


class InputChanged(InputInvalid):
    """An input is not, or no longer, the one that was there when the inputs were opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read the inputs; what is not given is found out.

    Raises:
        InputInvalid: names the option that cannot be honoured.
    """

    format: Format | None = None
    #: The column of each field that has another name in the inputs.
    columns: Mapping[str, str] = field(default_factory=dict)
    #: Separates the cells of a CSV: one character, or ``tab``.
    delimiter: str | None = None
    #: By default the one that a byte order mark names, else UTF-8.
    encoding: str | None = None
    #: Fields without which no row is accepted: a table without such a column is refused as a whole.
    required: tuple[str, ...] = ()
    #: All fields of the task, where they are known; rows may have others.
    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.delimiter is not None and not _may_separate(self.separator):
            raise InputInvalid("--delimiter", 'must be one character, or "tab"')
        if self.encoding is not None and not _is_of_text(self.encoding):
            raise InputInvalid("--encoding", "is no encoding of text that Python knows, such as cp1252")

    @property
    def options(self) -> tuple[str, ...]:
        """The options that were given, by their names on the command line."""
        given = {
            "--format": self.format,
            "--map": self.columns,
            "--delimiter": self.delimiter,
            "--encoding": self.encoding,
        }
        return tuple(name for name, value in given.items() if value)

    @property
    def separator(self) -> str | None:
        """The delimiter as a character."""
        return _TAB.get(self.delimiter, self.delimiter) if self.delimiter else self.delimiter


def columns_of(words: Iterable[str]) -> dict[str, str]:
    """Return the column of each field from words such as ``order_id=Order No``.

    Raises:
        InputInvalid: a word is of another form, or a field is named twice.
    """
    columns: dict[str, str] = {}
    for word in words:
        name, separator, column = (part.strip() for part in word.partition("="))
        if not (name and separator and column):
            raise InputInvalid("--map", f"{word}: must be FIELD=COLUMN")
        if name in columns:
            raise InputInvalid("--map", f"{name}: given twice")
        columns[name] = column
    return columns


def renamed(payload: dict[str, T], columns: Mapping[str, str]) -> dict[str, T]:
    """Return *payload* with the fields of *columns*; a field from a column hides one of its own name."""
    if not columns:
        return payload
    taken = {name: payload[column] for name, column in columns.items() if column in payload}
    moved = set(columns.values())
    kept = {name: value for name, value in payload.items() if name not in moved and name not in taken}
    return {**kept, **taken}


def _may_separate(character: str | None) -> bool:
    return (
        character is not None and len(character) == 1 and character not in '"\r\n\0' and character.isascii()
    )


def _is_of_text(encoding: str) -> bool:
    try:
        # Codecs such as base64 are no encodings of text.
        "a".encode(encoding)
        codecs.getincrementaldecoder(encoding)()
    except (LookupError, ValueError):
        return False
    return True
