"""Keeps the queues in use on Redis: a sorted set by when each was used last, in the slot of bucket 0."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from askonce.errors import RecordDamaged, StoreUnavailable
from askonce.used_queues import NOTED_EVERY, QUEUES_KEPT, USE_KEPT, is_queue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from askonce.adapters.redis.scripts import Command, Scripts

_KEPT = QUEUES_KEPT, int(USE_KEPT * 1000)
#: Queues that this process has noted: names come from callers.
_NOTED_KEPT = 1000


class RedisUsedQueues:
    """The queues in use of one namespace, and those that this process has noted lately."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts, self._key = scripts, scripts.bucket_key(0, "queues")
        self._due_at: dict[str, float] = {}

    def due(self, queues: Iterable[str]) -> list[str]:
        """Return those of *queues* that this process has to note again."""
        now, due_at = monotonic(), self._due_at
        return [name for name in queues if now >= due_at.get(name, 0.0) and is_queue(name)]

    def note(self, queues: list[str]) -> list[Command]:
        """Return what notes *queues*: it goes along with another command."""
        return [self._scripts.command("note_queues", (self._key,), (*_KEPT, *queues))] if queues else []

    def noted(self, queues: list[str]) -> None:
        """Let *queues* rest: the server replied, if only that it refuses."""
        if not queues:
            return  # as with most jobs
        if len(self._due_at) >= _NOTED_KEPT:
            self._due_at.clear()
        self._due_at.update(dict.fromkeys(queues, monotonic() + NOTED_EVERY))

    def ages(self) -> dict[str, float]:
        """Return the queues in use, each with for how many seconds it was not used."""
        try:
            [flat] = self._scripts.run_all("used_queues", [((self._key,), _KEPT)])
        except RecordDamaged as damaged:
            # No record, but a list for all: without it the store is of no use here.
            raise StoreUnavailable(verb="used_queues", reason=damaged.reason) from None
        found = (
            (name.decode(errors="replace"), age) for name, age in zip(flat[::2], flat[1::2], strict=True)
        )
        return {name: max(age, 0) / 1000 for name, age in found if is_queue(name)}
