"""Keeps the audit of the store in memory."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from askonce.audit import ENTRIES_KEPT, ENTRIES_KEPT_FOR, PART_KEPT, Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Condition


class MemoryAudit:
    """The audit of one store, behind its lock."""

    def __init__(self, changed: Condition, now: Callable[[], float]) -> None:
        """Begin without entries."""
        self._changed, self._now = changed, now
        self._entries: deque[Entry] = deque(maxlen=ENTRIES_KEPT)

    def note(self, entry: Entry) -> None:
        """Keep *entry*."""
        who, what, note = (text[:PART_KEPT] for text in (entry.who, entry.what, entry.note))
        with self._changed:
            self._entries.append(replace(entry, who=who, what=what, note=note, at=self._now()))

    def entries(self, since: float = 0.0) -> Iterator[Entry]:
        """Yield the entries since then, the oldest first."""
        with self._changed:
            kept = bool(self._entries) and self._now() < self._entries[-1].at + ENTRIES_KEPT_FOR
            found = [each for each in self._entries if kept and each.at >= since]
        # Without the lock: the caller may take its time.
        yield from found
