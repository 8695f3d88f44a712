"""Yields the rows of files from any place on: a step of a slot goes on where the last one ended."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

from askonce.rows import BadRow, read_rows
from askonce.schedule.item import Item, Refused, Unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

#: Bytes before a place, by which it is known again.
_KNOWN_BY: Final = 4096


class _Place(NamedTuple):
    """Where the rows go on: a file, an offset in it, and the number of the last row before."""

    file: int = 0
    offset: int = 0
    row: int = 0
    #: Of the bytes before: another file under the same name is read from its start.
    digest: str = ""


class StoredRows:
    """The rows of files, in their order; each is an object of one line."""

    def __init__(self, paths: Sequence[Path], options: Callable[[], Mapping[str, object]]) -> None:
        """Read *paths*; each row is enqueued with what *options* returns then."""
        self._paths, self._options = paths, options

    def items(self, mark: object) -> Iterator[Item | Unusable]:
        """Yield the rows after *mark*, that of an earlier item; None is the start.

        Raises:
            Refused: a file cannot be read.
        """
        begin = _Place(*cast("list[object]", mark)) if mark else _Place()  # type: ignore[arg-type]  # our own
        for number, path in enumerate(self._paths):
            if number < begin.file:
                continue
            with _opened(path) as stream:
                place = begin if number == begin.file and _is_there(stream, begin) else _Place(number)
                yield from self._rows_of(stream, place)

    def _rows_of(self, stream: BinaryIO, place: _Place) -> Iterator[Item | Unusable]:
        stream.seek(place.offset)
        for row in read_rows(stream):
            number, offset = place.row + row.number, stream.tell()
            is_whole = os.pread(stream.fileno(), 1, offset - 1) == b"\n"
            if not is_whole and (isinstance(row, BadRow) or os.fstat(stream.fileno()).st_size > offset):
                return  # it is being written: a later look finds the whole of it
            # The end of a line that comes later is of this row, and not one more.
            mark = [place.file, offset, number if is_whole else number - 1, _digest(stream, offset)]
            name = f"{place.file}:{number}"
            if isinstance(row, BadRow):
                yield Unusable(name, mark, f"row {number}", row.field, row.reason)
            else:
                yield Item(name, mark, f"row {number}", row.payload, self._options())


def _opened(path: Path) -> BinaryIO:
    try:
        if path.exists() and not path.is_file():
            raise Refused("file_unreadable", f"{path}: must be a plain file")
        return path.open("rb")
    except OSError as exc:
        raise Refused("file_unreadable", f"{path}: {exc.strerror}") from None


def _is_there(stream: BinaryIO, place: _Place) -> bool:
    return _digest(stream, place.offset) == place.digest


def _digest(stream: BinaryIO, offset: int) -> str:
    if not offset:
        return ""
    first = max(0, offset - _KNOWN_BY)
    # Beside the stream, which goes on where it is.
    return sha256(os.pread(stream.fileno(), offset - first, first)).hexdigest()[:16]
