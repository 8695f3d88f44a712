"""Keeps announcements of the store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from askonce.announcements import WORKERS_KEPT, Announcement, decode, encode, require_ttl
from askonce.used_queues import QUEUES_KEPT

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Condition

    from askonce.adapters.memory.used_queues import MemoryUsedQueues


class _Kept(NamedTuple):
    ends: float
    said: bytes
    at: float
    since: float


class MemoryAnnouncements:
    """The announcements of one store."""

    def __init__(self, changed: Condition, now: Callable[[], float], used_queues: MemoryUsedQueues) -> None:
        """Begin without workers; *changed* is the store's lock, *used_queues* notes what workers take."""
        self._changed, self._now, self._used_queues = changed, now, used_queues
        self._kept: dict[str, _Kept] = {}

    def announce(self, announcement: Announcement, ttl: float) -> None:
        """Keep *announcement* for *ttl* seconds, in place of the same worker's last one."""
        require_ttl(ttl)
        self._used_queues.note(announcement.queues[:QUEUES_KEPT])
        with self._changed:
            now, living = self._now(), self._living()
            last = living.get(announcement.worker)
            since = last.since if last else now
            living[announcement.worker] = _Kept(now + ttl, encode(announcement), now, since)
            newest = sorted(living, key=lambda worker: (living[worker].ends, worker))[-WORKERS_KEPT:]
            self._kept = {worker: living[worker] for worker in newest}

    def withdraw(self, worker: str) -> None:
        """Forget *worker*."""
        with self._changed:
            self._kept.pop(worker, None)

    def workers(self) -> list[Announcement]:
        """Return the workers that live, by their names; a damaged announcement is left out."""
        with self._changed:
            now, living = self._now(), self._living()
        found = [
            decode(worker, kept.said, since=kept.since, seen_in=now - kept.at)
            for worker, kept in sorted(living.items())
        ]
        return [each for each in found if each is not None]

    def _living(self) -> dict[str, _Kept]:
        now = self._now()
        return {worker: kept for worker, kept in self._kept.items() if now < kept.ends}
