"""Reads JSON lines. A bad line is reported by its number, and the other lines are read."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: A longer line is not a row. It is skipped without reading it into memory.
MAX_LINE_BYTES = 8 << 20

#: orjson makes a float of a whole number beyond 64 bits. Every such float is at least as far from 0.
_BEYOND_WHOLE = 2.0**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One payload and its number, from 1: the line of a file, or the row of all inputs of a run."""

    number: int
    payload: Mapping[str, object]
    #: What the input itself calls this row, such as the name of a transcript; empty where it has no name.
    id: str = ""
    #: Where the row is, for messages: ``orders.csv:17``; empty where the number says it.
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A line that is not a payload; *reason* never quotes it."""

    number: int
    field: str
    reason: str
    #: As those of a Row.
    id: str = ""
    place: str = ""


def read_rows(stream: BinaryIO) -> Iterator[Row | BadRow]:
    """Yield every line of *stream* that is not blank."""
    for number, line in lines_of(stream):
        yield too_long(number) if line is None else parse_row(number, line)


def lines_of(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield each line of *stream* that is not blank, with its number; None for one that is too long."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        line = line.removeprefix(BOM_UTF8) if number == 1 else line  # the mark belongs to the file
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            _skip_line(stream)
            yield number, None
        elif line and not line.isspace():
            yield number, line


def too_long(number: int, place: str = "") -> BadRow:
    """Return the row of a line that ``lines_of`` did not read."""
    return BadRow(number=number, field="", reason=f"longer than {MAX_LINE_BYTES} bytes", place=place)


def parse_row(number: int, line: bytes, place: str = "") -> Row | BadRow:
    """Parse one line; the key refuses NaN later, because it can name the field."""
    payload = _parsed_fast(line)
    if payload is not None:
        return Row(number=number, payload=payload, place=place)
    field = ""
    try:
        strict = json.loads(line.decode().strip(), object_pairs_hook=_object)
    except UnicodeDecodeError as exc:
        reason = f"invalid UTF-8 at byte {exc.start + 1}"
    except _DuplicateField as exc:
        field, reason = as_text(exc.name), "given twice"
    except json.JSONDecodeError as exc:
        # Some of its words end with "at" already.
        reason = f"not JSON: {exc.msg.removesuffix(' at')} at column {exc.colno}"
    except (RecursionError, ValueError):
        reason = "not JSON that can be read: too deep or too long a number"
    else:
        if isinstance(strict, dict):
            return Row(number=number, payload=strict, place=place)
        reason = "must be a JSON object"
    return BadRow(number=number, field=field, reason=reason, place=place)


def as_text(name: str) -> str:
    """Return *name* as text that can be written: half of a character becomes a question mark."""
    return name.encode(errors="replace").decode()


def _parsed_fast(line: bytes) -> dict[str, object] | None:
    """Return the object of *line* if orjson surely reads it as the strict parser does; else None.

    orjson keeps the last of two fields of one name. Every name is followed by a colon, so there are no two
    where the line has no more colons than the object has names. Most colons inside texts follow neither a
    quote nor white space, and are not counted where the strict parser would take longer than the counts.
    """
    try:
        payload = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if type(payload) is not dict:
        return None
    names = _names_in(payload)
    if line.count(b":") == names or (names >= _MANY and sum(map(line.count, _ENDS_OF_NAMES)) == names):
        return payload
    return None


#: From so many names on, the strict parser takes longer than the counts.
_MANY = 16
#: A colon after each byte that can stand between a name and it.
_ENDS_OF_NAMES = (b'":', b" :", b"\t:", b"\r:", b"\n:")


def _names_in(payload: dict[str, object]) -> int:
    """Return how many names all objects in *payload* have; -1 where a number may not be the line's."""
    names, left = 0, [payload]
    while left:
        value: object = left.pop()
        if type(value) is dict:
            names += len(value)
            left.extend(value.values())
        elif type(value) is list:
            left.extend(value)
        elif type(value) is float and not -_BEYOND_WHOLE < value < _BEYOND_WHOLE:
            return -1
    return names


class _DuplicateField(Exception):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise _DuplicateField(counts.most_common(1)[0][0])
    return found


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass
