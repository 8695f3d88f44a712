"""Finds answers that go stale on Redis: ``...:due`` beside each bucket's index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from askonce.adapters.redis.claims import milliseconds
from askonce.adapters.redis.reply import to_going_stale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.adapters.redis.scripts import Call, Scripts
    from askonce.due import GoingStale


class RedisDue:
    """The answers of one namespace."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts = scripts

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
        except ValueError:
            continue
    return found
