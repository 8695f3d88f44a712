"""Tells that a server does not answer and is waited for: in one line, and in the display while it lasts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from askonce.errors import StoreUnavailable
from askonce.line import one_line
from producer.progress.amounts import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.errors import JobError
    from producer.progress.reporter import Progress

#: Seconds without news after which a trouble is over: an attempt to connect may take some.
_OVER: Final = 10.0


class Trouble:
    """The trouble that a run has with its servers."""

    def __init__(
        self, progress: Progress, patience: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Show it in *progress*; the run waits for *patience* seconds at most."""
        self._progress, self._patience, self._clock = progress, patience, clock
        self._began = self._heard = float("-inf")

    @property
    def lasts(self) -> bool:
        """Whether a server did not answer just now."""
        return self._clock() - self._heard < _OVER

    def tell(self, trouble: JobError) -> None:
        """Show *trouble*, which the run meets again and again while it waits."""
        now, what = self._clock(), _server_of(trouble)
        if not self.lasts:
            self._began = now
            most = f", for {duration(self._patience)} at most: Ctrl-C ends that" if self._patience else ""
            self._progress.note(f"waiting for {what}{most}")
        self._heard = now
        self._progress.wait(what, now - self._began)

    def over(self) -> None:
        """Show that the servers answer."""
        if self.lasts:
            self._heard = float("-inf")
            self._progress.go_on()


def _server_of(trouble: JobError) -> str:
    if isinstance(trouble, StoreUnavailable):
        return one_line(
            f"the store {trouble.server}".rstrip() + f", which does not answer ({trouble.reason})"
        )
    return "the broker, which does not take messages"
