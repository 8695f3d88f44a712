"""Draws a run on a terminal, below the lines that stay; rich is loaded only for a run that lasts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from producer.progress.parts import first_line, printable, writable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from rich.live import Live

    from producer.progress.view import Moment


class Terminal:
    """Draws four times a second and erases its drawing at the end: the summary stands in its place."""

    first, interval, unchanged = 1.0, 0.25, 0.0

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live: Live | None = None

    def start(self, task: str, inputs: Sequence[str]) -> None:
        """Write what is read."""
        self.note(first_line(task, inputs))

    def draw(self, moment: Moment) -> None:
        """Draw the run over the last drawing."""
        from producer.progress.drawing import draw, open_live

        if self._live is None:
            self._live = open_live(self._stream, is_stderr=self._stream is sys.stderr)
        self._live.update(draw(moment, self._live.console), refresh=True)

    def note(self, line: str) -> None:
        """Write a line above the drawing."""
        if self._live is None:
            self._stream.write(f"{writable(printable(line), self._stream.encoding)}\n")
            self._stream.flush()
        else:
            from producer.progress.drawing import print_above

            print_above(self._live, printable(line))

    def error(self, line: str) -> None:
        """Write a line above the drawing."""
        self.note(line)

    def finish(self, moment: Moment | None, lines: Sequence[str]) -> None:  # noqa: ARG002  # *lines* say it
        """Write *lines* in place of the drawing."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        for line in lines:
            self.note(line)
