"""Looks over the jobs on Redis: the index of each bucket, its quarantined jobs, and the names of all keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson
from redis.exceptions import RedisError

from askonce.adapters.redis.reply import to_full_snapshot
from askonce.flights import NO_FIELDS
from askonce.job import Key
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from askonce.adapters.redis.scripts import Call, Scripts
    from askonce.flights import Names
    from askonce.record import Snapshot

#: Names that a server looks at in one step: some milliseconds.
_NAMES_AT_ONCE = 5_000


class RedisFlights:
    """The jobs of one namespace."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts = scripts

    def counts(self) -> list[int]:
        """Return how many jobs are in flight in each bucket."""
        return [
            int(reply) for reply in self._send(*(("ZCARD", name) for name in self._indexes(range(BUCKETS))))
        ]

    def keys(self, buckets: Sequence[int]) -> list[Key]:
        """Return the keys of the jobs in flight in *buckets*."""
        replies = self._send(*(("ZRANGE", name, 0, -1) for name in self._indexes(buckets))) if buckets else []
        return [Key(member.decode(errors="replace")) for reply in replies for member in reply]

    def find(
        self, buckets: Sequence[int], names: Names, fields: Mapping[str, object] = NO_FIELDS
    ) -> list[Key]:
        """Return the jobs in flight or in quarantine in *buckets* that have these *names* and *fields*."""
        words = [word for name in names for word in (int(name is not None), name or "")]
        pairs = [word for name, value in fields.items() for word in (name, orjson.dumps({name: value})[1:-1])]
        calls: list[Call] = [((index,), (*words, *pairs)) for index in self._indexes(buckets)]
        return [Key(member.decode()) for reply in self._scripts.run_all("find", calls) for member in reply]

    def show(self, keys: Sequence[Key]) -> list[Snapshot]:
        """Return records without the data of their answers."""
        replies = self._scripts.run_on_each("look", [(key, ()) for key in keys])
        return [to_full_snapshot(key, reply) for key, reply in zip(keys, replies, strict=True)]

    def walk(self) -> Iterator[list[Key]]:
        """Yield the keys of all records, some at a time."""
        records = f"{self._scripts.prefix}*}}:rec:*"
        for client in self._scripts.link.clients():
            cursor: int | None = None
            while cursor != 0:
                try:
                    cursor, names = cast("Any", client).scan(cursor or 0, match=records, count=_NAMES_AT_ONCE)
                except RedisError as error:
                    raise self._scripts.unavailable("scan", records, error) from error
                yield [Key(name.decode(errors="replace").rpartition(":")[2]) for name in names]

    def _indexes(self, buckets: Sequence[int]) -> list[str]:
        return [self._scripts.bucket_key(bucket, "idx") for bucket in buckets]

    def _send(self, *commands: tuple[Any, ...]) -> list[Any]:
        replies = self._scripts.send("list", *commands)
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, RedisError):
                raise self._scripts.unavailable("list", command[1], reply) from reply
        return replies
