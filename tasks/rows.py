"""Reads JSON lines. A bad line is reported by its number, and the other lines are read."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: A longer line is not a row. It is skipped without reading it into memory.
MAX_LINE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One payload and the number of its line, from 1."""

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
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        line = line.removeprefix(BOM_UTF8) if number == 1 else line  # the mark belongs to the file
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            _skip_line(stream)
            yield BadRow(number=number, field="", reason=f"longer than {MAX_LINE_BYTES} bytes")
        elif line.strip():
            yield parse_row(number, line)


def parse_row(number: int, line: bytes) -> Row | BadRow:
    """Parse one line; the key refuses NaN later, because it can name the field."""
    try:
        payload = json.loads(line.decode().strip(), object_pairs_hook=_object)
    except UnicodeDecodeError as exc:
        return BadRow(number=number, field="", reason=f"invalid UTF-8 at byte {exc.start + 1}")
    except _DuplicateField as exc:
        return BadRow(number=number, field=exc.name, reason="given twice")
    except json.JSONDecodeError as exc:
        return BadRow(number=number, field="", reason=f"not JSON: {exc.msg} at column {exc.colno}")
    except (RecursionError, ValueError):
        return BadRow(
            number=number, field="", reason="not JSON that can be read: too deep or too long a number"
        )
    if not isinstance(payload, dict):
        return BadRow(number=number, field="", reason="must be a JSON object")
    return Row(number=number, payload=payload)


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
