"""Reads a JSON array, or JSON values one after the other, element by element: no size fills the memory."""

from __future__ import annotations

import codecs
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from askonce.rows import MAX_LINE_BYTES, BadRow, Row, as_text
from producer.inputs.doubt import unless_none
from producer.inputs.reading import InputInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase

    from producer.inputs.columns import Columns

_CHUNK = 256 << 10
_BLANKS = " \t\r\n"
#: What the parser may see of a value that goes on: the start of a word, or the second half of a number.
_GOES_ON = ("true", "false", "null", "NaN", "Infinity", "-Infinity", ".", "e+", "e-", "E+", "E-")
#: The length of a character by its number, such as in ``"\\u00e3"``.
_ESCAPE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """The form of JSON that is not one object a line."""

    name: str
    columns: Columns
    #: Whether the values stand in one array; else they stand one after the other.
    bracketed: bool = True

    def rows(self, stream: BinaryIO, numbers: Iterator[int]) -> Iterator[Row | BadRow]:
        """Yield each element.

        Raises:
            InputInvalid: it is not JSON, is cut off or goes on behind its end; names the element.
        """
        return unless_none(self._rows(stream, numbers), self.name, "an array of objects", self.columns)

    def check(self, stream: BinaryIO) -> int:
        """Read all elements and count them; errors as ``rows``."""
        return sum(1 for _ in self.rows(stream, iter(range(1, 1 << 62))))

    def _rows(self, stream: BinaryIO, numbers: Iterator[int]) -> Iterator[Row | BadRow]:
        text, element = _Text(stream), 0
        try:
            for element, value in enumerate(self._values(text), 1):
                yield self._row(next(numbers), f"{self.name} element {element}", value, text.given_twice)
        except UnicodeDecodeError:
            raise self._refusal(element, "is not UTF-8: pass --encoding, such as cp1252") from None
        except _CutOff:
            raise self._refusal(element, "is cut off: the file ends in it") from None
        except _TooLong:
            raise self._refusal(element, f"is longer than {MAX_LINE_BYTES} characters") from None
        except json.JSONDecodeError as exc:
            raise self._refusal(element, f"is not JSON: {exc.msg}") from None
        except (RecursionError, ValueError):
            raise self._refusal(element, "is too deep, or has too long a number") from None

    def _values(self, text: _Text) -> Iterator[object]:
        if not self.bracketed:
            while text.peek():
                yield text.value()
            return
        text.take("[")
        if text.peek() != "]":
            yield text.value()
            while text.peek() == ",":
                text.take(",")
                if text.peek() == "]":
                    raise InputInvalid(self.name, "has a comma after its last element: remove it")
                yield text.value()
        text.take("]")
        if text.peek():
            raise InputInvalid(self.name, "has more after the end of its array")

    def _row(self, number: int, place: str, value: object, given_twice: str | None) -> Row | BadRow:
        if given_twice is not None:
            return BadRow(number=number, field=as_text(given_twice), reason="given twice", place=place)
        if not isinstance(value, dict):
            return BadRow(number=number, field="", reason="must be a JSON object", place=place)
        return Row(number=number, payload=value, place=place)

    def _refusal(self, read: int, reason: str) -> InputInvalid:
        return InputInvalid(self.name, f"element {read + 1} {reason}")


class _CutOff(Exception):
    """The text ends where a value does not."""


class _TooLong(Exception):
    """A value is longer than a row may be."""


class _Text:
    """The text of a stream, of which only the value that is being read is kept."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = cast("BufferedIOBase", stream)
        self._bytes = codecs.getincrementaldecoder("utf-8")()
        self._json = json.JSONDecoder(object_pairs_hook=self._object)
        self._text, self._at, self._ended = "", 0, False
        #: A name that the last value has twice in one object; None where it has none.
        self.given_twice: str | None = None

    def peek(self) -> str:
        """Return the next character that is no blank; an empty text at the end."""
        while True:
            while self._at < len(self._text):
                character = self._text[self._at]
                if character not in _BLANKS:
                    return character
                self._at += 1
            if not self._more():
                return ""

    def take(self, expected: str) -> None:
        """Go past the character *expected*."""
        if (found := self.peek()) != expected:
            if not found:
                raise _CutOff
            raise json.JSONDecodeError(f"Expecting '{expected}'", self._text, self._at)
        self._at += 1

    def value(self) -> object:
        """Read one value; more of the stream until it is whole."""
        if not self.peek():
            raise _CutOff
        while True:
            self.given_twice = None
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as exc:
                if not self._is_cut(exc):
                    raise
                if not self._more():
                    raise _CutOff from None
                continue
            # A number at the very end may have more digits; what has an end does not wait for the next one.
            if end < len(self._text) or not isinstance(value, int | float) or not self._more():
                self._at = end
                return value

    def _is_cut(self, exc: json.JSONDecodeError) -> bool:
        """Return whether all that is wrong is that the text ends here."""
        left = self._text[exc.pos : exc.pos + _ESCAPE + 4]
        if exc.msg.startswith("Invalid \\"):
            return len(left) < _ESCAPE
        return exc.msg.startswith("Unterminated") or any(word.startswith(left) for word in _GOES_ON)

    def _more(self) -> bool:
        """Read as much again as is kept, so that a long value is not read over and over."""
        if self._ended:
            return False
        kept = len(self._text) - self._at
        if kept > MAX_LINE_BYTES:
            raise _TooLong
        # What has come to a pipe is enough, but for a long value.
        read = self._stream.read1 if kept < _CHUNK else self._stream.read
        chunk = read(max(_CHUNK, kept))
        self._ended = not chunk
        self._text = self._text[self._at :] + self._bytes.decode(chunk, self._ended)
        self._at = 0
        return not self._ended

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            self.given_twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        return found
