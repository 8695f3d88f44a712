"""Keeps announcements on Redis: one HASH with a time to live for each worker, and a sorted set of their ids.

All are in the slot of bucket 0, so that a cluster lists them in one round trip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from askonce.announcements import (
    BYTES_KEPT,
    KEPT_FOR_AT_MOST,
    WORKERS_KEPT,
    Announcement,
    decode,
    encode,
    require_ttl,
)
from askonce.errors import RecordDamaged, StoreUnavailable
from askonce.used_queues import QUEUES_KEPT, is_queue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from askonce.adapters.redis.scripts import Command, Scripts
    from askonce.adapters.redis.used_queues import RedisUsedQueues


class RedisAnnouncements:
    """The announcements of one namespace."""

    def __init__(self, scripts: Scripts, used_queues: RedisUsedQueues) -> None:
        """Use the link and the keys of *scripts*; *used_queues* notes what workers take."""
        self._scripts, self._key = scripts, scripts.bucket_key(0, "workers")
        self._used_queues = used_queues

    def announce(self, announcement: Announcement, ttl: float) -> None:
        """Keep *announcement* for *ttl* seconds, in place of the same worker's last one."""
        require_ttl(ttl)
        times = int(ttl * 1000), int(KEPT_FOR_AT_MOST * 1000)
        args = announcement.worker, times[0], encode(announcement), WORKERS_KEPT, times[1]
        taken = list(filter(is_queue, announcement.queues[:QUEUES_KEPT]))
        self._run("announce", *args, along=self._used_queues.note(taken))

    def _run(self, verb: str, *args: bytes | str | int, along: Iterable[Command] = ()) -> Any:  # noqa: ANN401  # as the script returns
        try:
            return self._scripts.run_all(verb, [((self._key,), args)], along)[0]
        except RecordDamaged as damaged:
            # No record, but a list for all: without it the store is of no use here.
            raise StoreUnavailable(verb=verb, reason=damaged.reason) from None

    def withdraw(self, worker: str) -> None:
        """Forget *worker*."""
        for reply in self._scripts.send(
            "withdraw", ("ZREM", self._key, worker), ("DEL", f"{self._key}:{worker}")
        ):
            if isinstance(reply, ResponseError):
                raise StoreUnavailable(verb="withdraw", reason=type(reply).__name__) from reply

    def workers(self) -> list[Announcement]:
        """Return the workers that live, by their names; a damaged announcement is left out."""
        flat = self._run("workers", WORKERS_KEPT, BYTES_KEPT)
        found = [
            decode(worker.decode(errors="replace"), said, since=since / 1000, seen_in=age / 1000)
            for worker, said, since, age in zip(*[iter(flat)] * 4, strict=True)
        ]
        return sorted((each for each in found if each is not None), key=lambda each: each.worker)
