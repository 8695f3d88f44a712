"""Keeps controls of the store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.controls import NOTE_KEPT, QUEUE_SCOPES, Mark, Pause, require_pause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Condition

    from askonce.adapters.memory.record import MemoryRecord
    from askonce.job import Job


class MemoryControls:
    """The controls of one store, behind its lock."""

    def __init__(self, changed: Condition, clock: Callable[[], float], on_resume: Callable[[], None]) -> None:
        """Begin without any; *on_resume* is called, under the lock, when a pause ends."""
        self._changed, self._clock, self._on_resume = changed, clock, on_resume
        self._pauses: dict[Pause, str] = {}
        self._marks: dict[Mark, int] = {}

    def pause(self, pause: Pause, note: str) -> None:
        """Start no job of *pause* any more."""
        require_pause(pause)
        with self._changed:
            self._pauses[pause] = note[:NOTE_KEPT] or "paused"

    def resume(self, pause: Pause) -> bool:
        """End *pause*; return whether there was one."""
        with self._changed:
            self._on_resume()
            return self._pauses.pop(pause, None) is not None

    def mark(self, mark: Mark) -> None:
        """Make every answer of *mark* old whose run began before now."""
        with self._changed:
            self._marks[mark] = int(self._clock() * 1_000_000)

    def pauses(self) -> Mapping[Pause, str]:
        """Return the pauses that hold, with their notes."""
        with self._changed:
            return dict(self._pauses)

    def apply(self, record: MemoryRecord, job: Job | None = None) -> None:
        """Set on *record* what holds for *job*, or for the job that it keeps."""
        of = job or record
        marks = Mark("task", of.task), Mark("tenant", of.tenant), Mark("version", of.task, of.version)
        record.mark = max(self._marks.get(mark, 0) for mark in marks)
        pauses = (
            Pause("all"),
            Pause("queue", of.routing.queue),
            Pause("task", of.task),
            Pause("tenant", of.tenant),
            Pause("run", of.run),
            Pause("model", of.model),
        )
        holds = next((pause for pause in pauses if pause in self._pauses), None)
        record.paused = None if holds is None else self._pauses[holds]
        record.queue_paused = holds is not None and holds.scope in QUEUE_SCOPES
