"""Keeps controls of the store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from askonce.controls import NOTE_KEPT, QUEUE_SCOPES, Mark, Pause, require_mark, require_pause
from askonce.errors import StoreUnavailable
from askonce.record import MARK_KEPT, MAX_MARKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from threading import Condition

    from askonce.adapters.memory.record import MemoryRecord
    from askonce.job import Job, Key


class _Marked(NamedTuple):
    """When a mark was set, in microseconds, and until when such answers are kept, in seconds."""

    at: int
    until: float


class Controlled(Protocol):
    """The records, as far as controls concern them; each method is called under the lock ``changed``."""

    clock: Callable[[], float]
    changed: Condition

    def look_at_paused(self) -> None:
        """Look at the jobs that a pause has put aside."""

    def kept_until(self) -> float:
        """Return until when the last of the answers is kept."""

    def tell_invalidated(self, key: Key | None) -> None:
        """Tell those who listen that the answer of *key* is invalidated; None: that any may be."""


class MemoryControls:
    """The controls of one store, behind its lock."""

    def __init__(self, records: Controlled) -> None:
        """Begin without any; *records* learn what they change."""
        self._records, self._changed = records, records.changed
        self._pauses: dict[Pause, str] = {}
        self._marks: dict[Mark, _Marked] = {}

    def pause(self, pause: Pause, note: str) -> None:
        """Start no job of *pause* any more."""
        require_pause(pause)
        with self._changed:
            self._pauses[pause] = note[:NOTE_KEPT] or "paused"

    def resume(self, pause: Pause) -> bool:
        """End *pause*; return whether there was one."""
        with self._changed:
            self._records.look_at_paused()
            return self._pauses.pop(pause, None) is not None

    def mark(self, mark: Mark, kept: float = 0.0) -> None:
        """Make every answer of *mark* old whose run began before now."""
        require_mark(mark, kept)
        with self._changed:
            now = self._records.clock()
            self._marks = {each: at for each, at in self._marks.items() if at.until > now}
            fields = {each.field for each in self._marks} | {mark.field}
            if len(fields) > MAX_MARKS:
                raise StoreUnavailable(verb="mark", reason="marks_full", server="memory")
            before = max(
                (at.until for each, at in self._marks.items() if each.field == mark.field), default=0.0
            )
            until = max(now + MARK_KEPT, now + kept, self._records.kept_until(), before)
            self._marks[mark] = _Marked(int(now * 1_000_000), until)
            self._records.tell_invalidated(None)

    def pauses(self) -> Mapping[Pause, str]:
        """Return the pauses that hold, with their notes."""
        with self._changed:
            return dict(self._pauses)

    def apply(self, record: MemoryRecord, job: Job | None = None) -> None:
        """Set on *record* what holds for *job*, or for the job that it keeps."""
        of = job or record
        self.apply_marks(record)
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

    def apply_marks(self, record: MemoryRecord) -> None:
        """Set on *record* which runs began too early for their answers."""
        marks = (
            Mark("all"),
            Mark("task", record.task),
            Mark("tenant", record.tenant),
            Mark("version", record.task, record.version),
            *(Mark("tag", tag) for tag in record.tags),
        )
        record.mark = self._latest(marks)
        record.aged = max(record.aged, self._latest([mark._replace(mode="expire") for mark in marks]))
        if (value := record.value) is not None and value.fence <= record.aged:
            value.fresh_until = min(value.fresh_until, record.aged // 1000 / 1000)

    def latest_mark(self) -> int:
        """Return when the last mark was made, in microseconds."""
        return max((each.at for each in self._marks.values()), default=0)

    def _latest(self, marks: Iterable[Mark]) -> int:
        return max(self._marks[mark].at if mark in self._marks else 0 for mark in marks)
