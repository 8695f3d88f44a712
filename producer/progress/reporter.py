"""Shows a run on a stream while it runs; a display that fails never ends a run that pays."""

from __future__ import annotations

import os
import time
from threading import Event as Signal
from threading import RLock, Thread
from typing import TYPE_CHECKING, Final, Literal, Self

from producer.progress.lines import JsonLines, OnlyLines, TextLines
from producer.progress.rate import Rate, seconds_left
from producer.progress.terminal import Terminal
from producer.progress.view import Moment, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from producer.progress.counts import Counts
    from producer.progress.view import View

#: How a person may choose the display; ``auto`` draws on a terminal and writes JSON lines elsewhere.
SHOWN: Final = ("auto", "terminal", "text", "json", "none")
Shown = Literal["auto", "terminal", "text", "json", "none"]
#: Terminals that cannot move their cursor: nothing can be drawn there.
_DUMB: Final = frozenset({"dumb", "unknown"})


def new_progress(
    stream: TextIO | None, *, shown: Shown = "auto", quiet: bool = False, shared: bool = False
) -> Progress:
    """Return the display of a run on *stream*, which is stderr; None is a stream that the shell has closed.

    ``terminal`` draws, also into a file. Where the terminal cannot move its cursor, it writes what ``text``
    does: one plain line at a time, also for a screen reader. ``none`` shows notes and errors, and *quiet*
    only errors. *shared* is a terminal where others write too, rows or events: ``auto`` is ``text`` there.
    """
    if shown == "auto" and shared and stream is not None and stream.isatty():
        shown = "text"
    return Progress(_view_of(stream, shown, quiet=quiet))


def _view_of(stream: TextIO | None, shown: Shown, *, quiet: bool) -> View:
    if stream is None or quiet or shown == "none":
        return OnlyLines(stream, notes=not quiet)
    if shown == "json" or (shown == "auto" and not stream.isatty()):
        return JsonLines(stream)
    if shown == "text" or os.environ.get("TERM", "") in _DUMB:
        return TextLines(stream)
    return Terminal(stream)


class Progress:
    """One run as a person or a program sees it; a context manager, which ends the display."""

    def __init__(self, view: View, clock: Callable[[], float] = time.monotonic) -> None:
        self._view, self._clock = view, clock
        self._lock, self._ended = RLock(), Signal()
        self._rate = Rate()
        self._thread: Thread | None = None
        self._task, self._began = "", 0.0
        self._counts: Counts | None = None
        self._waits: tuple[str, float] | None = None
        self._drawn: Moment | None = None
        self._is_gone = self._is_finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def start(self, task: str, inputs: Sequence[str]) -> None:
        """Write the first line, before anything slow is loaded; then follow the run in a thread."""
        self._task, self._began = task, self._clock()
        self._rate.look(self._began, 0)
        self._show(lambda: self._view.start(task, inputs))
        self._thread = Thread(target=self._run, name="producer-progress", daemon=True)
        self._thread.start()

    def update(self, counts: Counts) -> None:
        """Show *counts* from now on, also as they grow. One call is enough for a run; many cost nothing."""
        self._counts = counts

    def wait(self, why: str, seconds: float = 0.0) -> None:
        """Show that every row waits, and *why*: a provider or a pause, for *seconds* already."""
        self._waits = why, self._clock() - seconds

    def go_on(self) -> None:
        """Show that rows go on."""
        self._waits = None

    def note(self, line: str) -> None:
        """Write *line*, above the display where there is one."""
        self._show(lambda: self._view.note(line))

    def error(self, line: str) -> None:
        """Write *line* like a note, also with ``--quiet``."""
        self._show(lambda: self._view.error(line))

    def finish(self, lines: Sequence[str] = ()) -> None:
        """Show the end and the *lines* of a summary; what follows is plain. A second call does nothing."""
        self._ended.set()
        if self._thread is not None:
            # A Ctrl-C may end this wait; the second call erases the drawing then.
            self._thread.join()
        if self._is_finished:
            return
        self._is_finished = True
        moment = self._moment() if self._thread is not None else None
        self._show(lambda: self._view.finish(moment, lines))

    def _run(self) -> None:
        pause = self._view.first
        while not self._ended.wait(pause):
            self._draw()
            pause = self._view.interval

    def _draw(self) -> None:
        moment = self._moment()
        if moment is None or not self._is_due(moment):
            return
        self._drawn = moment
        self._show(lambda: self._view.draw(moment))

    def _is_due(self, moment: Moment) -> bool:
        drawn = self._drawn
        if drawn is None or drawn.counts != moment.counts or _why(drawn) != _why(moment):
            return True
        return moment.seconds - drawn.seconds >= self._view.unchanged

    def _moment(self) -> Moment | None:
        if self._counts is None:
            return None
        now, counts, waits = self._clock(), self._counts.copy(), self._waits
        rate = self._rate.look(now, counts.ended)
        return Moment(
            task=self._task,
            counts=counts,
            seconds=now - self._began,
            rate=rate,
            seconds_left=seconds_left(rate if waits is None else None, counts.total, counts.finished),
            wait=None if waits is None else Wait(waits[0], now - waits[1]),
        )

    def _show(self, show: Callable[[], None]) -> None:
        """Let one thread at a time use the view; show nothing any more where the stream is gone."""
        with self._lock:
            if self._is_gone:
                return
            try:
                show()
            except (OSError, ValueError):
                # A full disk, or a terminal or a file that was closed: the run goes on.
                self._is_gone = True


def _why(moment: Moment) -> str | None:
    return None if moment.wait is None else moment.wait.why
