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
    subscription = RedisSubscription(link, channels)
    try:
        subscription.open()
        yield subscription
    except RedisError as exc:
        place = link.place_of(next(iter(channels)).decode())
        raise StoreUnavailable(verb="subscribe", reason=reason_of(exc), server=place) from exc
    finally:
        subscription.close()


class RedisSubscription:
    """Wake-ups through pub/sub."""

    def __init__(self, link: Link, channels: dict[bytes, Key]) -> None:
        """Listen through *link* to *channels*; ``open`` begins."""
        self._link, self._channels = link, channels
        self._pubsub: PubSub | None = None
        self._moves = 0

    def open(self) -> None:
        """Subscribe.

        Raises:
            redis.exceptions.RedisError: the server did not answer.
        """
        self._moves = self._link.moves
        # Any node of a cluster receives what is published on another one.
        client = self._link.client_of(next(iter(self._channels)).decode())
        self._pubsub = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py
        self._pubsub.subscribe(*self._channels)

    def wait(self, timeout: float) -> frozenset[Key]:
        """Return the keys whose wake-up came within *timeout* seconds; those that came already at once."""
        if self._pubsub is None or self._moves != self._link.moves:
            # The server was left: nothing is published there any more, and wake-ups may have been missed.
            self.close()
            self.open()
            return frozenset(self._channels.values())
        woken: set[Key] = set()
        message = self._pubsub.get_message(timeout=timeout)
        while message is not None:
            woken.add(self._channels.get(message["channel"], _NO_KEY))
            message = self._pubsub.get_message(timeout=0)
        return frozenset(woken - {_NO_KEY})

    def close(self) -> None:
        """Subscribe no more."""
        if self._pubsub is not None:
            self._pubsub.close()
