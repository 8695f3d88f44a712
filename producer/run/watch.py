"""Says while a run runs why its rows wait: their provider is away, or somebody paused them."""

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
    from collections.abc import Callable, Iterator

    from askonce.controls import Pause
    from askonce.store import Store
    from producer.progress.reporter import Progress

#: Seconds between two looks; rows that are answered sooner need no word.
_LOOK_EVERY: Final = 2.0


class Watch:
    """Tells of each reason once, and shows the present one; a context manager."""

    def __init__(
        self,
        store: Store,
        concerns: frozenset[Pause],
        model: str,
        progress: Progress,
        *,
        renew: Callable[[], object] = lambda: None,
        trouble: Callable[[], bool] = lambda: False,
    ) -> None:
        """Look at *store* for what holds back calls to *model*, and for the pauses that concern this run.

        *renew* is called before each look: it keeps what this producer holds. *trouble* returns whether the
        run itself shows what it waits for.
        """
        self._store, self._concerns, self._model, self._progress = store, concerns, model, progress
        self._renew, self._trouble = renew, trouble
        self._told: set[str] = set()
        #: When each pause was seen first.
        self._since: dict[Pause, float] = {}
        self._ended = Signal()

    def __enter__(self) -> Self:
        """Begin to look, in a thread: this one waits for answers."""
        self._thread = start_thread("producer-watch", self._run, ignore)
        return self

    def __exit__(self, *_: object) -> None:
        """Say nothing any more."""
        self._ended.set()
        self._thread.join()

    def look(self, now: float) -> None:
        """Tell of what is new at *now*, seconds since 1970."""
        try:
            self._renew()
            found = [*self._pauses(now), *self._away(now)]
        except StoreUnavailable:
            # The run itself reports that.
            return
        for name, line, _, _ in found:
            if name not in self._told:
                self._told.add(name)
                self._progress.note(line)
        if found:
            _, _, why, seconds = found[0]
            self._progress.wait(why, seconds)
        elif not self._trouble():
            self._progress.go_on()

    def _pauses(self, now: float) -> Iterator[tuple[str, str, str, float]]:
        for pause, note in self._store.controls.pauses().items():
            if pause in self._concerns:
                who = one_line(f"a pause of {pause.scope} {pause.name}".rstrip())
                since = self._since.setdefault(pause, now)
                yield f"{pause} {note}", one_line(f"waiting for {who}: {note}"), who, now - since

    def _away(self, now: float) -> Iterator[tuple[str, str, str, float]]:
        # A board's subject ends with its model: ``subject_of`` in tasks/providers/openai/pace.py. Without a
        # model the calls go to no provider that has a board.
        for each in away(self._store.boards, now) if self._model else ():
            if each.subject.endswith(f" {self._model}"):
                # Whoever may write to the store may write a board.
                line = f"waiting for {each.subject}: {each.reason}, since {each.seconds:.0f} s"
                told = one_line(": ".join(filter(None, (line, cure_of(each.reason)))))
                yield (
                    f"{each.subject} {each.reason}",
                    told,
                    one_line(f"{each.subject}: {each.reason}"),
                    each.seconds,
                )

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            self.look(time.time())
