"""All inputs of a run as one stream of rows, numbered from 1."""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING

import orjson

from producer.inputs.decoded import as_utf8, head_of
from producer.inputs.found import form_of, format_of
from producer.inputs.named import sources_of
from producer.inputs.reading import InputChanged, InputInvalid, Reading
from producer.inputs.source import unreadable
from producer.inputs.transcripts import Transcript, id_of

if TYPE_CHECKING:
    import io
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from askonce.rows import BadRow, Row
    from producer.inputs.found import Form
    from producer.inputs.source import Source

#: Nothing is given: everything is found.
AS_FOUND = Reading()


def open_inputs(names: Sequence[str], reading: Reading = AS_FOUND, left_out: Collection[Path] = ()) -> Inputs:
    """Return the inputs that *names* name: files, folders of transcripts, globs, and ``-`` for stdin.

    Folders and globs do not stand for the files of *left_out*.

    Raises:
        InputInvalid: a name names nothing. The content is read by ``check`` and ``rows``.
    """
    return Inputs(sources_of(names, reading.format, left_out), reading)


class Inputs:
    """The rows of all inputs.

    Every method that reads raises InputInvalid, one line, for an input that cannot be read, and InputChanged
    for a file that is gone or was written to since it was opened.
    """

    def __init__(self, sources: list[Source], reading: Reading) -> None:
        self._sources, self._reading = sources, reading
        self._checked: tuple[str, int] | None = None
        self._spent = False
        self.names = tuple(source.name for source in sources)
        self.read_by = reading.options
        #: Whether the rows can be read again: not those of stdin or of a pipe.
        self.replayable = all(source.stamp is not None for source in sources)

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield each row as it is read; a row that is no payload is a BadRow, and the others are read."""
        if self._spent:
            raise InputInvalid(", ".join(self.names[:1]), "can be read only once")
        self._spent = not self.replayable
        numbers = count(1)
        for source in self._sources:
            with _as_one_line(source), source.opened() as raw:
                form, stream = self._form(source, raw)
                yield from form.rows(stream, numbers)
            source.unless_changed()

    def check(self) -> int | None:
        """Read all files once, before anything is enqueued; return how many rows they have.

        A ragged table, a file that is cut off, or one in another encoding is refused here as a whole. Stdin
        cannot be checked: the number is None then, and such an error comes at its row.
        """
        return self._pass()[1] if self.replayable else None

    def digest(self) -> str:
        """Return the SHA-256 of all contents, their order, and how they are read; empty with stdin."""
        return self._pass()[0] if self.replayable else ""

    def changed(self) -> str | None:
        """Return the name of an input that is no longer what it was when it was opened."""
        return next((source.name for source in self._sources if source.changed), None)

    def _pass(self) -> tuple[str, int]:
        if self._checked is None:
            whole, rows = sha256(_words_of(self._reading)), 0
            for source in self._sources:
                content = sha256()
                with _as_one_line(source), source.opened(content.update) as raw:
                    form, stream = self._form(source, raw)
                    rows += form.check(stream)
                    while raw.read1():  # bytes behind what the form needs
                        pass
                source.unless_changed()
                # A transcript's name is its id.
                row = id_of(source.name) if self._is_transcript(source) else ""
                whole.update(row.encode() + b"\0" + content.digest())
            self._checked = whole.hexdigest(), rows
        return self._checked

    def _form(self, source: Source, raw: io.BufferedReader) -> tuple[Form, io.BufferedReader]:
        try:
            head, stream = head_of(as_utf8(raw, source.name, self._reading.encoding))
        except InputInvalid as exc:
            if not self._is_transcript(source):
                raise
            # It is one row: the other transcripts are read.
            return Transcript(name=source.name, columns={}, trouble=exc.reason), raw
        return form_of(source.name, head, self._reading), stream

    def _is_transcript(self, source: Source) -> bool:
        return format_of(source.name, self._reading) == "transcripts"


@contextmanager
def _as_one_line(source: Source) -> Iterator[None]:
    """Turn an error of reading *source* into InputInvalid; into InputChanged where it was changed."""
    try:
        yield
    except InputChanged:
        raise
    except InputInvalid:
        source.unless_changed()
        raise
    except OSError as exc:
        raise unreadable(source.name, exc) from None


def _words_of(reading: Reading) -> bytes:
    columns = sorted(reading.columns.items())
    return orjson.dumps([reading.format, columns, reading.separator, reading.encoding])
