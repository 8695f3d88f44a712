"""Wake-ups for finished jobs through pub/sub."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from askonce.adapters.redis.servers import reason_of
from askonce.errors import StoreUnavailable
from askonce.job import Key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis.client import PubSub

    from askonce.adapters.redis.link import Link

#: The channel of no key.
_NO_KEY = Key("")


@contextmanager
def listening(link: Link, channels: dict[bytes, Key]) -> Iterator[RedisSubscription]:
    """Listen to *channels*, each with its record's key.

    Raises:
        StoreUnavailable: the server did not answer.
    """
    pubsub: PubSub | None = None
    try:
        # Any node of a cluster receives what is published on another one.
        client = link.client_of(next(iter(channels)).decode())
        pubsub = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py
        pubsub.subscribe(*channels)
        yield RedisSubscription(pubsub, channels)
    except RedisError as exc:
        raise StoreUnavailable(verb="subscribe", reason=reason_of(exc)) from exc
    finally:
        if pubsub is not None:
            pubsub.close()


class RedisSubscription:
    """Wake-ups through pub/sub."""

    def __init__(self, pubsub: PubSub, channels: dict[bytes, Key]) -> None:
        """Listen on *pubsub* for *channels*."""
        self._pubsub, self._channels = pubsub, channels

    def wait(self, timeout: float) -> frozenset[Key]:
        """Return the keys whose wake-up came within *timeout* seconds; those that came already at once."""
        woken: set[Key] = set()
        message = self._pubsub.get_message(timeout=timeout)
        while message is not None:
            woken.add(self._channels.get(message["channel"], _NO_KEY))
            message = self._pubsub.get_message(timeout=0)
        return frozenset(woken - {_NO_KEY})
