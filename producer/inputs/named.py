"""Which inputs the arguments of a command name: files, folders of transcripts, globs, stdin."""

from __future__ import annotations

import os
import re
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from producer.inputs.reading import InputInvalid
from producer.inputs.source import STDIN, source_of, unreadable
from producer.inputs.transcripts import id_of, is_transcript

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from producer.inputs.reading import Format
    from producer.inputs.source import Source

_DIGITS = re.compile(r"(\d+)")


def sources_of(names: Sequence[str], given: Format | None, left_out: Collection[Path] = ()) -> list[Source]:
    """Return each input that *names* name, in their order; a file that is named twice is one input.

    *given* is the format that the caller names. A folder or a glob does not stand for a file of *left_out*,
    such as what an earlier run wrote there.

    Raises:
        InputInvalid: a name names nothing, or two transcripts have one id.
    """
    sources: dict[object, Source] = {}
    own = {_identity_of(source_of(str(path))) for path in left_out if _is_there(path)}
    for name in names:
        if not name:
            # An unset variable of a shell; as a path it is the folder where the shell is.
            raise InputInvalid("INPUT", "a name is empty")
        found = [(each, source_of(each)) for each in _paths_of(name, given)]
        kept = [source for each, source in found if each == name or _identity_of(source) not in own]
        if not kept:
            raise InputInvalid(name, "has no file but those of the output")
        for source in kept:
            # Two names of one file are one input: its rows would be asked for twice.
            sources.setdefault(_identity_of(source), source)
    inputs = list(sources.values())
    if given in (None, "transcripts"):
        _refuse_twins(source.name for source in inputs if given or is_transcript(source.name))
    return inputs


def _identity_of(source: Source) -> object:
    """Return what tells two inputs apart, whatever their names."""
    return source.stamp[:2] if source.stamp else source.path


def _paths_of(name: str, given: Format | None) -> Iterator[str]:
    if name != STDIN and has_magic(name) and not _is_there(name):
        deep = "**" in name  # it matches every folder on the way
        matches = sorted(glob(name, recursive=deep), key=natural)  # noqa: PTH207  # may be absolute
        matches = [match for match in matches if not (deep and Path(match).is_dir())]
        if not matches:
            raise InputInvalid(name, "matches no file")
    else:
        matches = [name]
    for match in matches:
        if match != STDIN and os.path.isdir(match):  # noqa: PTH112  # as ``_is_there``
            yield from _transcripts_of(match, given)
        else:
            yield match


def _is_there(path: str | Path) -> bool:
    """Return whether there is such a file; False also for a name that the system cannot look up."""
    # Those of Path raise an error for a name that is too long, or in a folder that may not be searched.
    return os.path.exists(path)  # noqa: PTH110


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
