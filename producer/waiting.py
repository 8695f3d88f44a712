"""Says to a person why rows wait: the provider of their task is away."""

from __future__ import annotations

import time
from threading import Event as Signal
from typing import TYPE_CHECKING, Final, Self

from askonce.background import start_thread
from askonce.errors import StoreUnavailable
from askonce.events import ignore
from askonce.line import one_line
from askonce.pace.away import away
from tasks.reasons import cure_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.board import Boards
    from askonce.pace.away import Away

#: Seconds between two looks; rows that are answered sooner need no word.
_LOOK_EVERY: Final = 2.0


class Waiting:
    """Tells once of each provider of *model*, and of each reason for which it is away; a context manager."""

    def __init__(self, boards: Boards, model: str, tell: Callable[[str], object]) -> None:
        """Look at *boards* for calls to *model*; one that is empty goes to no provider that has a board."""
        self._boards, self._model, self._tell = boards, model, tell
        self._told: set[tuple[str, str]] = set()
        self._ended = Signal()

    def __enter__(self) -> Self:
        """Begin to look, in a thread: this one waits for answers."""
        self._thread = start_thread("producer-waiting", self._run, ignore) if self._model else None
        return self

    def __exit__(self, *_: object) -> None:
        """Say nothing any more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def look(self, now: float) -> None:
        """Tell of what is new at *now*, seconds since 1970."""
        try:
            found = away(self._boards, now)
        except StoreUnavailable:
            # The command itself reports that.
            return
        for each in found:
            name = each.subject, each.reason
            # A board's subject ends with its model: ``subject_of`` in tasks/providers/openai/pace.py.
            if name not in self._told and each.subject.endswith(f" {self._model}"):
                self._told.add(name)
                self._tell(_line(each))

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            self.look(time.time())


def _line(each: Away) -> str:
    line = f"waiting for {each.subject}: {each.reason}, since {each.seconds:.0f} s"
    # Whoever may write to the store may write a board.
    return one_line(": ".join(filter(None, (line, cure_of(each.reason)))))
