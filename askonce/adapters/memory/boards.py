"""Keeps boards of the store in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from askonce.board import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Condition


@dataclass(slots=True)
class _Board:
    version: int = 0
    state: bytes = b""
    #: When it ends, and its text.
    notes: dict[str, tuple[float, bytes]] = field(default_factory=dict)


class MemoryBoards:
    """The boards of one store."""

    def __init__(self, changed: Condition, now: Callable[[], float]) -> None:
        """Begin without boards; *changed* is the store's lock."""
        self._changed, self._now = changed, now
        self._boards: dict[str, _Board] = {}

    def exchange(self, name: str, member: str, note: bytes, ttl: float) -> Seen:
        """Keep *note* for *ttl* seconds in place of the member's last one; return the board."""
        with self._changed:
            now, board = self._now(), self._boards.setdefault(name, _Board())
            if note:
                board.notes[member] = now + ttl, note
            else:
                board.notes.pop(member, None)
            # One that ends a minute later than a new one was written before the clock was set back.
            latest = now + ttl + 60
            board.notes = {who: kept for who, kept in board.notes.items() if now < kept[0] <= latest}
            notes = {who: text for who, (_, text) in board.notes.items()}
            return Seen(now, board.version, board.state, notes)

    def propose(self, name: str, version: int, state: bytes) -> bool:
        """Replace the state that has *version*; return whether it still had that."""
        with self._changed:
            board = self._boards.setdefault(name, _Board())
            if board.version != version:
                return False
            board.version, board.state = version + 1, state
            return True

    def states(self) -> Mapping[str, bytes]:
        """Return the state of each board, by its name."""
        with self._changed:
            return {name: board.state for name, board in self._boards.items() if board.state}
