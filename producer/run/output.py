"""Writes the line of each row in the order of the input, however the rows end."""

from __future__ import annotations

import csv
import io
from collections import deque
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, Self

import orjson

from askonce.cli.exits import discard_stdout
from askonce.line import in_cell, in_json, in_json_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: The columns of a table, which has all that a line of JSON has: ``error`` is kind and reason in one text,
#: ``tokens`` the counts of ``usage`` as JSON.
COLUMNS: Final = (
    "row",
    "id",
    "status",
    "source",
    "result",
    "error",
    "cost_usd",
    "calls",
    "tokens",
    "avoided_usd",
    "attempts",
    "seconds",
    "age",
    "key",
    "job",
    "asked",
    "degraded",
    "later_row",
    "source_reason",
)


class Format(Protocol):
    """How the lines of a journal are written."""

    def header(self) -> bytes:
        """Return what comes before the first row."""

    def row(self, line: bytes) -> bytes:
        """Return what is written of the *line* of a row; it may be nothing."""


class JsonLines:
    """The lines as they are."""

    def header(self) -> bytes:
        """Return nothing: each line names its fields."""
        return b""

    def row(self, line: bytes) -> bytes:
        """Return *line*."""
        return line + b"\n"


class Results:
    """The answers only, one a line; a row without one has no line."""

    def header(self) -> bytes:
        """Return nothing."""
        return b""

    def row(self, line: bytes) -> bytes:
        """Return the result in *line*."""
        result = orjson.loads(line)["result"]
        return b"" if result is None else in_json_bytes(orjson.dumps(result)) + b"\n"


class Table:
    """CSV with a header, as RFC 4180 has it. No cell of text is a formula, or has a second line."""

    def header(self) -> bytes:
        """Return the names of the columns."""
        return _csv(COLUMNS)

    def row(self, line: bytes) -> bytes:
        """Return the cells of *line*: what is no plain value is JSON."""
        found = orjson.loads(line)
        error = found.get("error") or {}
        found["error"] = ": ".join(
            str(error[name]) for name in ("kind", "field", "reason") if error.get(name)
        )
        found["tokens"] = found.get("usage") or None
        return _csv([_cell(name, found.get(name)) for name in COLUMNS])


def _cell(name: str, value: object) -> object:
    if value is None:
        return ""
    if name == "result" or isinstance(value, dict | list):
        return in_json(orjson.dumps(value).decode())
    return in_cell(value) if isinstance(value, str) else value


def _csv(cells: object) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)  # type: ignore[arg-type]  # any cells
    return text.getvalue().encode()


class InOrder:
    """Takes rows as they are read and as they end; writes each one when all before it are written."""

    def __init__(self, line_at: Callable[[int], bytes], write: Callable[[bytes, bool], object]) -> None:
        """Read lines with *line_at*, by their offset; *write* gets each line, and whether its row failed."""
        self._line_at, self._write = line_at, write
        self._read: deque[int] = deque()
        self._ended: dict[int, tuple[int, bool]] = {}

    def __len__(self) -> int:
        """Return how many rows were read and are not written."""
        return len(self._read)

    def read(self, row: int) -> None:
        """Take in *row*, the next one of the input."""
        self._read.append(row)

    def ended(self, row: int, offset: int, *, failed: bool) -> None:
        """Take in the end of *row*, whose line is at *offset*."""
        self._ended[row] = offset, failed
        while self._read and self._read[0] in self._ended:
            place, has_failed = self._ended.pop(self._read.popleft())
            self._write(self._line_at(place), has_failed)


class Files:
    """The output of a run: ``OUT.part`` while it runs, and what failed in ``OUT.errors.jsonl``."""

    def __init__(self, out: Path) -> None:
        """Write to *out*, as its name's ending says: ``.csv`` is a table, all others are JSON lines."""
        self._out = out
        self._part, self._errors = beside(out, "part"), beside(out, "errors.jsonl")
        self._format: Format = Table() if out.suffix.lower() == ".csv" else JsonLines()
        self._stack = ExitStack()
        self._failed: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Have no file open yet."""
        return self

    def begin(self) -> None:
        """Begin both anew: the journal has all that was in them."""
        self._errors.unlink(missing_ok=True)
        self._stream = self._stack.enter_context(self._part.open("wb"))
        self._stream.write(self._format.header())

    def __exit__(self, *_: object) -> None:
        """Leave what is written where it is."""
        self._stack.close()

    def write(self, line: bytes, failed: bool) -> None:  # noqa: FBT001  # called by InOrder only
        """Write one row."""
        self._stream.write(self._format.row(line))
        if failed:
            if self._failed is None:
                self._failed = self._stack.enter_context(self._errors.open("wb"))
            self._failed.write(line + b"\n")

    def flush(self) -> None:
        """Let readers see all that is written."""
        self._stream.flush()

    def finish(self) -> None:
        """Give the output its name: every row has its line."""
        self._stack.close()
        self._part.replace(self._out)


def files_of(out: Path) -> tuple[Path, ...]:
    """Return all files of the run that writes *out*."""
    return out, *(beside(out, ending) for ending in ("part", "journal", "errors.jsonl"))


def beside(out: Path, ending: str) -> Path:
    """Return the file of this *ending* beside *out*."""
    return out.with_name(f"{out.name}.{ending}")


class Stream:
    """The output of a run on stdout."""

    def __init__(self, stream: BinaryIO, format_: Format) -> None:
        """Write rows to *stream* as *format_* has them."""
        self._stream, self._format = stream, format_
        #: Called when the program that reads stdout, such as ``head``, has closed it.
        self.on_closed: Callable[[], object] = lambda: None

    def write(self, line: bytes, failed: bool) -> None:  # noqa: ARG002, FBT001  # called by InOrder only
        """Write one row."""
        with self._while_open():
            self._stream.write(self._format.row(line))

    def flush(self) -> None:
        """Let readers see all that is written."""
        with self._while_open():
            self._stream.flush()

    @contextmanager
    def _while_open(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            # The rows of this group are taken in all the same: they are with the workers.
            discard_stdout()
            self.on_closed()
