"""Wake-ups for finished jobs through pub/sub."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from askonce.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis.client import PubSub

    from askonce.adapters.redis.cluster import ClusterLink
    from askonce.adapters.redis.link import Link


@contextmanager
def listening(link: Link | ClusterLink, channels: dict[bytes, str]) -> Iterator[RedisSubscription]:
    """Listen to *channels*, each with its record's key.

    Raises:
        StoreUnavailable: the server did not answer.
    """
    pubsub: PubSub | None = None
    try:
        # Any node of a cluster hears what is published on another one.
        client = link.client_of(next(iter(channels)).decode())
        pubsub = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py
        pubsub.subscribe(*channels)
        yield RedisSubscription(pubsub, channels)
    except RedisError as exc:
        raise StoreUnavailable(verb="subscribe", reason=type(exc).__name__) from exc
    finally:
        if pubsub is not None:
            pubsub.close()


class RedisSubscription:
    """Wake-ups through pub/sub."""

    def __init__(self, pubsub: PubSub, channels: dict[bytes, str]) -> None:
        """Listen on *pubsub* for *channels*."""
        self._pubsub, self._channels = pubsub, channels

    def wait(self, timeout: float) -> frozenset[str]:
        """Return the keys heard of within *timeout* seconds; everything that is there already at once."""
        heard: set[str] = set()
        message = self._pubsub.get_message(timeout=timeout)
        while message is not None:
            heard.add(self._channels.get(message["channel"], ""))
            message = self._pubsub.get_message(timeout=0)
        return frozenset(heard - {""})
