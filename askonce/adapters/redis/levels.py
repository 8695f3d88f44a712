"""Reads what the servers hold: one script for each bucket, all in one round trip, and each server's INFO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from askonce.errors import RecordDamaged, StoreUnavailable
from askonce.levels import Levels, longest_waits
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from redis import Redis

    from askonce.adapters.redis.scripts import Scripts


def read_levels(scripts: Scripts) -> Levels:
    """Return what the servers of *scripts* hold.

    Raises:
        StoreUnavailable: a server did not answer, or its user may not read this.
    """
    buckets = _of_buckets(scripts)
    infos = list(_infos(scripts))
    return Levels(
        in_flight=sum(bucket[0] for bucket in buckets),
        dead_jobs=sum(bucket[1] for bucket in buckets),
        dead_messages=_messages(scripts),
        waits=longest_waits(_progress(buckets)),
        keys=_sum(_keys_of(info) for info in infos),
        used_bytes=_sum(_number(info, "used_memory") for info in infos),
        most_bytes=_sum(_number(info, "maxmemory") for info in infos),
        evicted=_sum(_number(info, "evicted_keys") for info in infos),
    )


def _of_buckets(scripts: Scripts) -> list[Any]:
    calls = [((scripts.bucket_key(bucket, "idx"),), ()) for bucket in range(BUCKETS)]
    try:
        return scripts.run_all("levels", calls)
    except RecordDamaged as damaged:
        # No record, but a list of a bucket: without it the sum is of no use.
        raise StoreUnavailable(verb="levels", reason=damaged.reason) from None


def _messages(scripts: Scripts) -> int:
    [reply] = scripts.send("levels", ("XLEN", scripts.letters_key))
    if isinstance(reply, RedisError):
        raise scripts.unavailable("levels", scripts.letters_key, reply) from reply
    return int(reply)


def _progress(buckets: Iterable[Sequence[Any]]) -> Iterator[tuple[str, str, float]]:
    for _, _, *flat in buckets:
        for name, age in zip(flat[::2], flat[1::2], strict=True):
            queue, _, priority = name.decode(errors="replace").rpartition("\n")
            yield queue, priority, age / 1000


def _infos(scripts: Scripts) -> Iterator[Mapping[str, Any] | None]:
    for server in scripts.link.clients():
        try:
            yield _info(server)
        except RedisError as error:
            raise scripts.unavailable("levels", scripts.letters_key, error) from error


def _info(server: Redis) -> Mapping[str, Any] | None:
    """Return the server's INFO; None where its user may not run it."""
    try:
        return dict(server.info())
    except ResponseError:
        return None


def _number(info: Mapping[str, Any] | None, name: str) -> int | None:
    found = None if info is None else info.get(name)
    return found if isinstance(found, int) else None


def _keys_of(info: Mapping[str, Any] | None) -> int | None:
    if info is None:
        return None
    return sum(int(base["keys"]) for name, base in info.items() if name.startswith("db") and "keys" in base)


def _sum(numbers: Iterable[int | None]) -> int | None:
    """Return the sum of *numbers*; None where one is unknown: never less."""
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total
