"""Keeps dead letters of the store in memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Protocol

from askonce.letters import BODY_KEPT, MESSAGES_KEPT, MESSAGES_KEPT_FOR, DeadMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Condition

    from askonce.job import Key
    from askonce.letters import DeadJob


class _ShowRecords(Protocol):
    """Shows the quarantined ones of some records; None chooses all."""

    def __call__(self, keys: Sequence[Key] | None, *, payload: bool) -> list[DeadJob | None]:
        """Return a dead job, or None, for each record."""


class MemoryLetters:
    """The dead letters of one store; its records are behind the same lock."""

    def __init__(
        self,
        changed: Condition,
        now: Callable[[], float],
        dead_jobs: _ShowRecords,
    ) -> None:
        """Begin without messages; *dead_jobs* shows the quarantined ones of some records, or of all."""
        self._changed, self._now, self._show_records = changed, now, dead_jobs
        self._messages: dict[str, DeadMessage] = {}
        self._kept_until = 0.0
        self._numbers = count(1)

    def dead_jobs(self) -> list[tuple[Key, float]]:
        """Return (key, kept until) of every quarantined job, the oldest first."""
        with self._changed:
            found = [dead for dead in self._show_records(None, payload=False) if dead is not None]
        return [
            (each.job.key, each.until) for each in sorted(found, key=lambda each: (each.until, each.job.key))
        ]

    def show(self, keys: Sequence[Key], *, payload: bool = False) -> list[DeadJob | None]:
        """Return quarantined jobs; None for a key that is not."""
        with self._changed:
            return self._show_records(keys, payload=payload)

    def keep(self, message: DeadMessage) -> None:
        """Keep *message*, cut to BODY_KEPT."""
        with self._changed:
            number = f"{int(self._now() * 1000)}-{next(self._numbers)}"
            size, body = message.size or len(message.body), message.body[:BODY_KEPT]
            self._messages[number] = replace(message, id=number, body=body, size=size)
            self._kept_until = self._now() + MESSAGES_KEPT_FOR
            for older in list(self._messages)[:-MESSAGES_KEPT]:
                del self._messages[older]

    def dead_messages(self) -> list[DeadMessage]:
        """Return every dead message, the oldest first."""
        with self._changed:
            return list(self._messages.values()) if self._now() < self._kept_until else []

    def drop(self, ids: Sequence[str]) -> int:
        """Forget dead messages; return how many were there."""
        with self._changed:
            return sum(self._messages.pop(each, None) is not None for each in ids)
