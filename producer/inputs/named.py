"""Which inputs the arguments of a command name: files, folders of transcripts, globs, stdin."""

from __future__ import annotations

import re
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from producer.inputs.reading import InputInvalid
from producer.inputs.source import STDIN, source_of, unreadable
from producer.inputs.transcripts import id_of, is_transcript

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from producer.inputs.reading import Format
    from producer.inputs.source import Source

_DIGITS = re.compile(r"(\d+)")


def sources_of(names: Sequence[str], given: Format | None) -> list[Source]:
    """Return each input that *names* name, in their order; a file that is named twice is one input.

    *given* is the format that the caller names.

    Raises:
        InputInvalid: a name names nothing, or two transcripts have one id.
    """
    sources: dict[object, Source] = {}
    for name in names:
        for each in _paths_of(name, given):
            source = source_of(each)
            # Two names of one file are one input: its rows would be asked for twice.
            identity = source.stamp[:2] if source.stamp else source.path
            sources.setdefault(identity, source)
    found = list(sources.values())
    if given in (None, "transcripts"):
        _refuse_twins(source.name for source in found if given or is_transcript(source.name))
    return found


def _paths_of(name: str, given: Format | None) -> Iterator[str]:
    if name != STDIN and has_magic(name) and not Path(name).exists():
        deep = "**" in name  # it matches every folder on the way
        matches = sorted(glob(name, recursive=deep), key=natural)  # noqa: PTH207  # may be absolute
        matches = [match for match in matches if not (deep and Path(match).is_dir())]
        if not matches:
            raise InputInvalid(name, "matches no file")
    else:
        matches = [name]
    for match in matches:
        if match != STDIN and Path(match).is_dir():
            yield from _transcripts_of(match, given)
        else:
            yield match


def _transcripts_of(folder: str, given: Format | None) -> list[str]:
    if given not in (None, "transcripts"):
        raise InputInvalid(folder, f"is a folder: name its files, such as '{Path(folder) / '*'}'")
    try:
        found = [
            str(path)
            for path in Path(folder).iterdir()
            if not path.name.startswith(".") and is_transcript(path.name) and path.is_file()
        ]
    except OSError as exc:
        raise unreadable(folder, exc) from None
    if not found:
        raise InputInvalid(
            folder, "is a folder without .txt, .vtt or .srt files; folders inside it are not read"
        )
    return sorted(found, key=natural)


def _refuse_twins(names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(id_of(name), name)
        if first is not name:
            raise InputInvalid(name, f"would have the same id as {first}: rename one of them")


def natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts ``part-2`` before ``part-10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(name)]
