"""Finds the format of an input: the caller names it, or its name does, or its first bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, assert_never

import orjson

from producer.inputs.array import Array
from producer.inputs.columns import Columns
from producer.inputs.lines import Lines
from producer.inputs.reading import InputInvalid
from producer.inputs.table import Table, delimiter_of
from producer.inputs.transcripts import Transcript, is_transcript, unless_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.rows import BadRow, Row
    from producer.inputs.reading import Format, Reading

_ENDINGS: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
}


class Form(Protocol):
    """How the text of one input becomes rows."""

    def rows(self, stream: BinaryIO, numbers: Iterator[int]) -> Iterator[Row | BadRow]:
        """Yield the rows of *stream*, each with the next of *numbers*."""

    def check(self, stream: BinaryIO) -> int:
        """Read *stream* to its end and count its rows; refuse what ``rows`` would refuse late."""


def format_of(name: str, reading: Reading) -> Format | None:
    """Return the format that the caller or the *name* of a file says."""
    if reading.format is not None:
        return reading.format
    if is_transcript(name):
        return "transcripts"
    plain = name.lower().removesuffix(".gz")
    return next((found for ending, found in _ENDINGS.items() if plain.endswith(ending)), None)


def form_of(name: str, head: bytes, reading: Reading) -> Form:
    """Return how to read the input *name*, whose text begins with *head*.

    Raises:
        InputInvalid: it is not what its name says, or an option does not apply to it.
    """
    found = format_of(name, reading) or _seen(name, head, reading.separator)
    # A text may be one on request; the header of a table is no object.
    if (found == "csv" or (found == "transcripts" and reading.format is None)) and _is_object(head):
        raise InputInvalid(name, f"is JSON lines, not {found}: pass --format jsonl")
    if reading.separator is not None and found != "csv":
        raise InputInvalid(name, "is no CSV: --delimiter does not apply")
    match found:
        case "csv":
            return _table(name, head, reading)
        case "jsonl" | "json":
            return _json(name, head, reading)
        case "transcripts":
            unless_missing(name, reading.columns, reading.required)
            return Transcript(name=name, columns=reading.columns)
    assert_never(found)


def _seen(name: str, head: bytes, separator: str | None) -> Format:
    """Return the format of what begins with *head*; a *separator* that is given is of a table."""
    first = head.lstrip()[:1]
    if first in (b"{", b"["):
        return "json"
    if separator or (first and delimiter_of(head, name)):
        return "csv"
    if not first:
        return "json"  # without any row
    raise InputInvalid(name, "has no format that shows: pass --format jsonl, json, csv or transcripts")


def _table(name: str, head: bytes, reading: Reading) -> Table:
    by_name = "\t" if name.lower().removesuffix(".gz").endswith(".tsv") else None
    # A table of one column has no delimiter.
    delimiter = reading.separator or by_name or delimiter_of(head, name) or ","
    return Table(
        name=name,
        delimiter=delimiter,
        columns=_columns(reading),
    )


def _json(name: str, head: bytes, reading: Reading) -> Form:
    """Return how to read JSON: files are often called .json and .jsonl the other way round."""
    first, ended, _ = head.lstrip().partition(b"\n")
    if reading.format != "jsonl":
        if first.startswith(b"["):
            return Array(name=name, columns=_columns(reading))
        # A line that ends within its object: a value of several lines.
        if first.startswith(b"{") and ended and not first.rstrip().endswith(b"}"):
            return Array(name=name, columns=_columns(reading), bracketed=False)
        # Several values on one line; of JSON lines that is a bad one.
        if format_of(name, reading) == "json" and _has_more(first):
            return Array(name=name, columns=_columns(reading), bracketed=False)
    return Lines(name=name, columns=_columns(reading))


def _columns(reading: Reading) -> Columns:
    return Columns(mapped=reading.columns, required=reading.required, known=reading.fields)


def _has_more(line: bytes) -> bool:
    """Return whether an object follows the first one of *line*."""
    text = line.decode(errors="replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return text[end:].lstrip().startswith("{")


def _is_object(head: bytes) -> bool:
    first = head.lstrip().partition(b"\n")[0]
    try:
        return first.startswith(b"{") and isinstance(orjson.loads(first), dict)
    except orjson.JSONDecodeError:
        return False
