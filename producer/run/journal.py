"""Keeps the report of each row on disk as the row ends: the truth of a run's output.

A journal is a file of JSON lines that only grows. A line with ``run`` begins a round: a run that asks again
for rows has several. One with ``holder`` says who goes on with it, and one with ``end`` ends it. One with
``sent`` names the rows of a group that is about to be sent, and one with ``reserved`` says before it what
they can cost, where the run has a budget. One with ``content`` has a digest of a row of a pipe, which is read
only once. The others are reports; a later one of a row wins. A line that a killed process left half written
is cut off. One process at a time has the file.
"""

from __future__ import annotations

import fcntl
import os
from array import array
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Self

import orjson

from askonce.runs import named
from producer.run.errors import JournalInvalid, RunTaken

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from pathlib import Path

    from producer.run.report import Report

#: In place of the offset of a row that has no line.
_NONE: Final = -1
#: A digest is a whole number of 64 bits with a sign.
_BEYOND: Final = 1 << 63
#: Bytes that are read at once.
_READ: Final = 16 << 10
#: Bits beside an offset, as ``Line`` has them; how many they are.
_FAILED, _OPEN, _SUPERSEDED, _BITS = 1, 2, 4, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a run asks for, and under which name; the line that begins a round."""

    name: str
    #: Drawn at random; the ids of the run's jobs are made of it, so that a row is never paid twice.
    uid: str
    #: Rises each time that the run asks again for rows that had ended.
    number: int = 1
    task: str
    version: str
    tenant: str = ""
    inputs: tuple[str, ...] = ()
    #: The options that said how to read them: by the names of the inputs alone, other rows would be found.
    read_by: tuple[str, ...] = ()
    #: Of all inputs; empty where they can be read only once.
    digest: str = ""
    #: Seconds since 1970.
    started: float
    #: Who runs it, as ``holder.py`` names a start.
    holder: str
    #: Which rows with an end in an earlier round are asked for again: each of them, or those that failed.
    refresh: bool = False
    retry_failed: bool = False
    #: Answers that are older do not count; seconds since 1970.
    not_before: float | None = None
    #: Of which rows that is meant: the first ones, or some drawn at random; None is all.
    limit: int | None = None
    sample: int | None = None
    #: The rows of all inputs, of which these are drawn.
    total: int | None = None

    def to_json(self) -> bytes:
        """Return its line."""
        return orjson.dumps({"run": asdict(self)})

    @classmethod
    def of(cls, found: object) -> Self | None:
        """Return what ``to_json`` wrote, without fields that are not known here; None if it is damaged."""
        if not isinstance(found, dict):
            return None
        known = {each.name: found[each.name] for each in fields(cls) if each.name in found}
        known |= {name: tuple(known.get(name, ())) for name in ("inputs", "read_by")}
        try:
            return cls(**known)
        except TypeError:
            return None


class Reserve(NamedTuple):
    """What one row can cost at most, as ``Worst`` has it."""

    row: int
    calls: int
    micro_usd: int | None
    own: bool


class Line(NamedTuple):
    """Where the line of a row is, and what it says."""

    offset: int
    failed: bool
    #: The row has neither an answer nor a failure of its own: it is asked for again.
    open: bool
    #: Another row or run has its key with other content: asked for again, it would take the key back.
    superseded: bool = False


@dataclass(slots=True)
class Lines:
    """Where the last line of each row is: eight bytes a row."""

    _places: array[int] = field(default_factory=lambda: array("q"))
    #: Those that were forgotten.
    _before: array[int] = field(default_factory=lambda: array("q"))

    def __getitem__(self, row: int) -> Line | None:
        """Return the line of *row*."""
        if row >= len(self._places) or self._places[row] == _NONE:
            return None
        place = self._places[row]
        return Line(place >> _BITS, bool(place & _FAILED), bool(place & _OPEN), bool(place & _SUPERSEDED))

    def __setitem__(self, row: int, line: Line) -> None:
        """Remember the line of *row* in place of its last one."""
        self._make_room(row + 1)
        bits = line.failed * _FAILED | line.open * _OPEN | line.superseded * _SUPERSEDED
        self._places[row] = line.offset << _BITS | bits

    def forget_answers(self, rows: Container[int]) -> None:
        """Forget the lines of *rows*: they are asked for again."""
        self.restore()
        self._before = self._places[:]
        for row in range(len(self._places)):
            if row in rows:
                self._places[row] = _NONE

    def restore(self) -> None:
        """Know again the forgotten lines of rows that nobody asked for again: only some were wanted."""
        self._make_room(len(self._before))
        for row, place in enumerate(self._before):
            if self._places[row] == _NONE:
                self._places[row] = place
        del self._before[:]

    def _make_room(self, rows: int) -> None:
        missing = rows - len(self._places)
        if missing > 0:
            self._places.extend([_NONE] * missing)


class Journal:
    """The journal of one run, open for writing; a context manager."""

    def __init__(self, stream: BinaryIO, path: Path | None = None) -> None:
        """Write to *stream*, which is read from its start by ``lines``; *path* is its name if it has one."""
        self._stream, self._path = stream, path
        #: Bytes written so far.
        self.size = self._flushed = 0
        self._unsynced = False
        #: Which start this is, until it is written.
        self._first = b""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the journal at *path*, a new one if there is none.

        Raises:
            RunTaken: another process has it.
            OSError: the file cannot be written.
        """
        while True:
            stream = path.open("a+b")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with stream:
                    raise RunTaken(run=str(path), holder=_holder_of(stream)) from None
            if os.fstat(stream.fileno()).st_nlink:
                return cls(stream, path)
            # Another start has just left no journal behind.
            stream.close()

    def __enter__(self) -> Self:
        """Have the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is left, and let others have the file; one without a line is removed."""
        try:
            self.sync()
            if self._path is not None and not os.fstat(self._stream.fileno()).st_size:
                self._path.unlink(missing_ok=True)
        finally:
            self._stream.close()

    def lines(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Yield the offset and the content of each whole line; cut off one that is half written.

        Raises:
            JournalInvalid: something else wrote to the file.
        """
        self._stream.seek(0)
        self.size = 0
        for number, line in enumerate(self._stream, start=1):
            if not line.endswith(b"\n"):
                break
            yield self.size, _read_line(line, number, self._stream.name)
            self.size += len(line)
        self._stream.truncate(self.size)
        self._flushed = self.size

    def begin(self, round_: Round) -> None:
        """Let this start begin a round. A start that is refused before ``start`` leaves nothing behind."""
        self._first = round_.to_json()

    def go_on(self, holder: str) -> None:
        """Let this start go on with the last round; *holder* is who does."""
        self._first = orjson.dumps({"holder": holder})

    def start(self) -> None:
        """Write which start this is, before all else; it is on the disk when this returns."""
        if self._first:
            line, self._first = self._first, b""
            self._write(line)
            self.sync()

    def end(self) -> None:
        """End the round: every row has its end."""
        self._write(b'{"end":true}')
        self.sync()

    def add(self, report: Report) -> int:
        """Write *report*; return its offset. ``sync`` brings it to the disk."""
        return self._write(report.to_json())

    def reserve(self, rows: Sequence[Reserve]) -> None:
        """Write what *rows* can cost; ``send`` lets a process that is killed leave it behind."""
        self._write(orjson.dumps({"reserved": [list(row) for row in rows]}))

    def keep_content(self, row: int, digest: int) -> None:
        """Write the *digest* of what *row* holds; ``send`` lets a process that is killed leave it behind."""
        self._write(orjson.dumps({"content": [row, digest]}))

    def send(self, rows: Sequence[int]) -> None:
        """Write that *rows* are sent as one group; a process that is killed later leaves that behind."""
        self._write(orjson.dumps({"sent": rows}))
        self._flush()

    def sync(self) -> None:
        """Bring all lines to the disk."""
        if self._unsynced:
            self._flush()
            os.fsync(self._stream.fileno())
            self._unsynced = False

    def line_at(self, offset: int) -> bytes:
        """Return the line at *offset*, without its end."""
        if offset >= self._flushed:
            self._flush()
        line = b""
        # Beside the stream: to move that would empty its buffer each time.
        while (part := os.pread(self._stream.fileno(), _READ, offset + len(line))) and b"\n" not in part:
            line += part
        return line + part.partition(b"\n")[0]

    def _flush(self) -> None:
        self._stream.flush()
        self._flushed = self.size

    def _write(self, line: bytes) -> int:
        self.start()
        offset, self._unsynced = self.size, True
        self._stream.write(line + b"\n")
        self.size += len(line) + 1
        return offset


def _read_line(line: bytes, number: int, name: object) -> dict[str, object]:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not (
        found.keys() & {"run", "holder", "end"}
        or type(found.get("row")) is int
        or _is_reserved(found.get("reserved"))
        or _are_rows(found.get("sent"))
        or _is_content(found.get("content"))
    ):
        raise JournalInvalid(file=str(name), line=number)
    return found


def _are_rows(found: object) -> bool:
    return isinstance(found, list) and all(type(row) is int and row >= 0 for row in found)


def _is_content(found: object) -> bool:
    match found:
        case [int(), int(digest)]:
            return -_BEYOND <= digest < _BEYOND
    return False


def _is_reserved(found: object) -> bool:
    def is_reserve(each: object) -> bool:
        match each:
            case [int(), int(), int() | None, bool()]:
                return True
        return False

    return isinstance(found, list) and all(map(is_reserve, found))


def _holder_of(stream: BinaryIO) -> str:
    """Return who began the last start that can be read."""
    holder = "another process"
    stream.seek(0)
    for line in stream:
        try:
            found = orjson.loads(line)
            holder = found.get("holder") or found["run"]["holder"]
        except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
            continue
    return named(str(holder))
