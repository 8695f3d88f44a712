"""Lists what was given up, of the store in memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from askonce.adapters.memory.record import quarantined
from askonce.letters import BODY_KEPT, LETTERS_KEPT, LETTERS_KEPT_FOR, Letter, Quarantined

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Condition

    from askonce.adapters.memory.record import MemoryRecord


class DeadListing:
    """The listing half of the store in memory."""

    _records: dict[str, MemoryRecord]
    _changed: Condition
    if TYPE_CHECKING:  # the other half's

        def _now(self) -> float: ...
        def _load(self, key: str) -> MemoryRecord | None: ...

    def __init__(self) -> None:
        """Begin without letters."""
        self._kept_letters: dict[str, Letter] = {}
        self._letters_until = 0.0
        self._numbers = count(1)

    def dead(self) -> list[tuple[str, float]]:
        """Return (key, kept until) of every job in quarantine, the oldest first."""
        with self._changed:
            found = [shown for key in list(self._records) if (shown := self._show(key, payload=False))]
            return [(each.key, each.until) for each in sorted(found, key=lambda each: (each.until, each.key))]

    def show(self, keys: Sequence[str], *, payload: bool = False) -> list[Quarantined | None]:
        """Show jobs in quarantine; None for a key that is not."""
        with self._changed:
            return [self._show(key, payload=payload) for key in keys]

    def keep_letter(self, letter: Letter) -> None:
        """Keep *letter*, cut to BODY_KEPT."""
        with self._changed:
            number = f"{int(self._now() * 1000)}-{next(self._numbers)}"
            size, body = letter.size or len(letter.body), letter.body[:BODY_KEPT]
            self._kept_letters[number] = replace(letter, id=number, body=body, size=size)
            self._letters_until = self._now() + LETTERS_KEPT_FOR
            for older in list(self._kept_letters)[:-LETTERS_KEPT]:
                del self._kept_letters[older]

    def letters(self) -> list[Letter]:
        """Return every letter, the oldest first."""
        with self._changed:
            return list(self._kept_letters.values()) if self._now() < self._letters_until else []

    def drop_letters(self, ids: Sequence[str]) -> int:
        """Forget letters; return how many were there."""
        with self._changed:
            return sum(self._kept_letters.pop(each, None) is not None for each in ids)

    def _show(self, key: str, *, payload: bool) -> Quarantined | None:
        record = self._load(key)
        return quarantined(key, record, self._now(), payload=payload) if record else None
