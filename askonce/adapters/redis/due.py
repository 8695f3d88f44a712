"""Finds answers on Redis by when they go stale: ``...:due`` beside each bucket's index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from askonce.adapters.redis.claims import milliseconds
from askonce.adapters.redis.reply import DAMAGE, Brought, to_going_stale
from askonce.due import ANY, KeptAnswer
from askonce.job import Key
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.adapters.redis.scripts import Call, Scripts
    from askonce.due import GoingStale, Meant, Walked


class RedisDue:
    """The answers of one namespace."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts = scripts

    def counts(self) -> list[int]:
        """Return how many answers each bucket has."""
        names = [self._scripts.bucket_key(bucket, "due") for bucket in range(BUCKETS)]
        replies = self._scripts.send("list", *(("ZCARD", name) for name in names))
        for name, reply in zip(names, replies, strict=True):
            if isinstance(reply, RedisError):
                raise self._scripts.unavailable("list", name, reply) from reply
        return list(map(int, replies))

    def answers(self, walks: Sequence[Walked], meant: Meant = ANY) -> tuple[list[KeptAnswer], list[Walked]]:
        """Return some answers that are meant after each walk, and those that go on."""
        calls: list[Call] = [
            ((self._scripts.bucket_key(walk.bucket, "idx"),), (walk.cursor, *_words(meant))) for walk in walks
        ]
        replies = self._scripts.run_all("kept", calls)
        found = [each for reply in replies for each in _kept(reply[1:])]
        came = zip(walks, replies, strict=True)
        cursors = [(walk, int(reply[0])) for walk, reply in came]
        return found, [walk._replace(cursor=cursor) for walk, cursor in cursors if cursor]

    def look(self, key: Key) -> KeptAnswer | None:
        """Return the answer of *key*, fresh or stale."""
        call: Call = (self._scripts.record_keys(key)[1:], (-1, *_words(ANY), key))
        [reply] = self._scripts.run_all("kept", [call])
        return next(_kept(reply[1:]), None)

    def going_stale(self, buckets: Sequence[int], task: str, within: float) -> list[GoingStale]:
        """Return answers of *task* that go stale *within* some seconds and are wanted."""
        found: dict[str, GoingStale] = {}
        left = dict.fromkeys(buckets, 0)
        while left:
            till = milliseconds(within)
            calls: list[Call] = [
                ((self._scripts.bucket_key(bucket, "idx"),), (start, till, task))
                for bucket, start in left.items()
            ]
            replies = self._scripts.run_all("going_stale", calls)
            left = {
                bucket: int(reply[0]) for bucket, reply in zip(left, replies, strict=True) if reply[0] > 0
            }
            # A page begins with the moment at which the last one ended.
            found |= {each.key: each for reply in replies for each in _readable(reply[1:])}
        return list(found.values())


def _readable(replies: list[Any]) -> list[GoingStale]:
    """Return the answers that can be read: a damaged record keeps no other one stale."""
    found = []
    for reply in replies:
        try:
            found.append(to_going_stale(reply))
        except DAMAGE:
            continue
    return found


def _words(meant: Meant) -> tuple[str | int, ...]:
    return tuple(word for name in meant for word in (int(name is not None), name or ""))


def _kept(parts: list[Any]) -> Iterator[KeptAnswer]:
    """Yield the answers of one reply of ``kept.lua``; one that cannot be read is left out."""
    for first in range(0, len(parts), 6):
        key, task, ask, age, fresh_for, kept_for = parts[first : first + 6]
        try:
            brought = Brought.decode(ask)
            names = Key(key.decode()), task.decode(), brought.version, brought.tenant, brought.tags
        except ValueError:
            continue
        yield KeptAnswer(*names, age / 1000, max(0, fresh_for) / 1000, kept_for / 1000)
