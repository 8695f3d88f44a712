"""Reads a transcript, a text or a file of captions, as one row; its id is the name of the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO

from askonce.rows import MAX_LINE_BYTES, BadRow, Row
from producer.inputs.cues import lines_of_cues
from producer.inputs.reading import InputInvalid, renamed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ENDINGS = (".txt", ".vtt", ".srt")
#: The two columns that a transcript has.
COLUMNS = ("meeting_id", "transcript")


def is_transcript(name: str) -> bool:
    """Return whether a file of this *name* is one transcript."""
    return name.lower().removesuffix(".gz").endswith(_ENDINGS)


def id_of(name: str) -> str:
    """Return the id of the meeting whose transcript has this *name*: the name without folder and ending."""
    path = PurePath(name)
    return PurePath(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The form of one transcript."""

    name: str
    columns: Mapping[str, str]
    #: Why it cannot be read; empty where it can.
    trouble: str = ""

    def rows(self, stream: BinaryIO, numbers: Iterator[int]) -> Iterator[Row | BadRow]:
        """Yield its one row."""
        yield self._row(stream, next(numbers))

    def check(self, stream: BinaryIO) -> int:
        """Return 1: a transcript that cannot be read is a bad row, and the others are read."""
        return len(list(self.rows(stream, iter([1]))))

    def _row(self, stream: BinaryIO, number: int) -> Row | BadRow:
        try:
            payload = self._payload(stream)
        except InputInvalid as exc:
            row = id_of(self.name)
            return BadRow(number=number, field="transcript", reason=exc.reason, id=row, place=self.name)
        return Row(number=number, payload=payload, id=id_of(self.name), place=self.name)

    def _payload(self, stream: BinaryIO) -> dict[str, object]:
        if self.trouble:
            raise InputInvalid(self.name, self.trouble)
        content = stream.read(MAX_LINE_BYTES + 1)
        if len(content) > MAX_LINE_BYTES:
            raise InputInvalid(self.name, f"longer than {MAX_LINE_BYTES} bytes")
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise InputInvalid(self.name, "is not UTF-8: pass --encoding, such as cp1252") from None
        ending = PurePath(self.name.lower().removesuffix(".gz")).suffix
        if ending == ".vtt" and not text.startswith("WEBVTT"):
            raise InputInvalid(self.name, "is not WebVTT: it does not begin with WEBVTT")
        said = lines_of_cues(text) if ending in (".vtt", ".srt") else text
        return renamed(dict(zip(COLUMNS, (id_of(self.name), said), strict=True)), self.columns)


def unless_missing(name: str, columns: Mapping[str, str], required: tuple[str, ...]) -> None:
    """Raise InputInvalid where transcripts have not all of the *required* fields."""
    fields = renamed(dict.fromkeys(COLUMNS), columns)
    if missing := [field for field in required if field not in fields]:
        raise InputInvalid(
            name, f"is a transcript, which gives {' and '.join(fields)}; the task needs {', '.join(missing)}"
        )
