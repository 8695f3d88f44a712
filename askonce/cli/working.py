"""Shows on a terminal how far a command is that looks at many records."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from askonce.cli.exits import is_terminal
from askonce.cli.printed import echo, overwrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds: a command that is done sooner shows nothing, and the line changes no more often than the second.
_FIRST, _BETWEEN = 1.0, 0.2


@contextmanager
def working(verb: str, total: int | None = None, *, prints: bool = False) -> Iterator[Callable[[int], None]]:
    """Lend a function that takes how many are done, of *total* where that is known.

    A command that *prints* meanwhile shows nothing where that would be on the same terminal.
    """
    of = "" if total is None else f" of {total:,}"
    shown, due = False, time.monotonic() + _FIRST

    def report(done: int) -> None:
        nonlocal shown, due
        if time.monotonic() >= due and is_terminal(sys.stderr) and not (prints and is_terminal(sys.stdout)):
            overwrite(f"{verb} {done:,}{of}")
            shown, due = True, time.monotonic() + _BETWEEN

    try:
        yield report
    finally:
        if shown:
            # What follows begins its own line.
            echo("", err=True)
