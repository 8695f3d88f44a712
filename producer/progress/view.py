"""What a display draws, and what every display can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from producer.progress.counts import Counts


class Wait(NamedTuple):
    """Why no row goes on, and for how many seconds already."""

    why: str
    seconds: float


class Moment(NamedTuple):
    """A run as it is at one moment."""

    task: str
    counts: Counts
    #: Since the start.
    seconds: float
    #: Rows that end in a second; None is unknown.
    rate: float | None = None
    seconds_left: float | None = None
    wait: Wait | None = None


class View(Protocol):
    """One way to show a run. One thread at a time calls it."""

    #: Seconds from the start to the first drawing, then between two, then between two of an unchanged run.
    first: float
    interval: float
    unchanged: float

    def start(self, task: str, inputs: Sequence[str]) -> None:
        """Write the first line at once; load nothing for it."""

    def draw(self, moment: Moment) -> None:
        """Show the run as it is."""

    def note(self, line: str) -> None:
        """Write a line that stays."""

    def error(self, line: str) -> None:
        """Write a line that stays, also where notes are not wanted."""

    def finish(self, moment: Moment | None, lines: Sequence[str]) -> None:
        """Show the end of a run, and the *lines* of its summary; without a *moment* there are no counts."""
