"""One input: a file or stdin, and whether it is still what it was."""

from __future__ import annotations

import io
import os
import stat
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from producer.inputs.decoded import Joined, buffered
from producer.inputs.reading import InputChanged, InputInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The argument that stands for stdin, and its name in messages.
STDIN, _STDIN_NAME = "-", "stdin"


class Stamp(NamedTuple):
    """What shows that a file was replaced, written to or cut."""

    device: int
    inode: int
    bytes: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Return the stamp of a file with this *status*."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Source:
    """A file by its path, or stdin."""

    #: As the caller wrote it, or as a folder or a glob has it.
    name: str
    #: None for what can be read only once: stdin or a pipe.
    stamp: Stamp | None
    #: None for stdin.
    path: Path | None

    @property
    def changed(self) -> bool:
        """Whether the file is gone, or no longer the one that was found."""
        if self.stamp is None or self.path is None:
            return False
        try:
            return Stamp.of(self.path.stat()) != self.stamp
        except OSError:
            return True

    def unless_changed(self) -> None:
        """Raise InputChanged for a file that is gone or was written to."""
        if self.changed:
            gone = self.path is not None and not self.path.exists()
            raise InputChanged(self.name, "is no longer there" if gone else "was changed since it was opened")

    @contextmanager
    def opened(self, heard: Callable[[memoryview], object] | None = None) -> Iterator[io.BufferedReader]:
        """Open the bytes; *heard* gets each that is read.

        Raises:
            InputInvalid: it cannot be opened.
            InputChanged: it is not the file that was found.
        """
        if self.path is None:
            yield buffered(Joined(_stdin(), heard=heard))
            return
        self.unless_changed()
        with ExitStack() as stack:
            try:
                file = stack.enter_context(self.path.open("rb"))
            except OSError as exc:
                raise unreadable(self.name, exc) from None
            yield buffered(Joined(file, heard=heard))


def _stdin() -> io.BufferedReader:
    if sys.stdin is None:  # closed by the caller's shell
        raise InputInvalid(_STDIN_NAME, "is closed")
    given = cast("io.BufferedReader", sys.stdin.buffer)
    try:
        # Its own buffer: a thread that waits in the process's one would hold up the end of the process.
        return os.fdopen(given.fileno(), "rb", closefd=False)
    except io.UnsupportedOperation:  # no file
        return given


def source_of(name: str) -> Source:
    """Return the input of a file's *name*, or of ``-``.

    Raises:
        InputInvalid: there is no such file.
    """
    if name == STDIN:
        return Source(_STDIN_NAME, None, None)
    path = Path(name)
    try:
        name.encode()  # rows and messages carry it
        status = path.stat()
    except (OSError, ValueError) as exc:
        raise unreadable(name, exc) from None
    return Source(name, Stamp.of(status) if stat.S_ISREG(status.st_mode) else None, path)


def unreadable(name: str, trouble: OSError | ValueError) -> InputInvalid:
    """Return the line for a file of which the system says *trouble*."""
    if isinstance(trouble, ValueError):
        return InputInvalid(name, "cannot be read: its name is not UTF-8, or has a zero byte")
    return InputInvalid(name, f"cannot be read: {(trouble.strerror or type(trouble).__name__).lower()}")
