"""Wake-ups for finished jobs through pub/sub."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from askonce.adapters.redis.bell import Bell
from askonce.adapters.redis.servers import reason_of
from askonce.errors import StoreUnavailable
from askonce.job import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from redis.client import PubSub

    from askonce.adapters.redis.link import Link

#: Channels that are left in one step.
_LEFT_AT_ONCE = 1000
#: Seconds for the rest of a message that has begun: with none, redis-py takes its first bytes for a timeout.
_WHOLE = 1.0
#: The channel of no key.
_NO_KEY = Key("")


@contextmanager
def listening(
    link: Link, keys: Sequence[Key], channel_of: Callable[[Key], bytes]
) -> Iterator[RedisSubscription]:
    """Listen to the channels of *keys*, one at least.

    Raises:
        StoreUnavailable: the server did not answer.
    """
    subscription = RedisSubscription(link, keys, channel_of)
    try:
        with subscription.unavailable():
            subscription.open()
        yield subscription
    finally:
        subscription.end()


class RedisSubscription:
    """Wake-ups through pub/sub."""

    def __init__(self, link: Link, keys: Sequence[Key], channel_of: Callable[[Key], bytes]) -> None:
        """Listen through *link* to the channels of *keys*; ``open`` begins."""
        self._link, self._channel_of = link, channel_of
        self._channels = {channel_of(key): key for key in keys}
        #: Names the server of an error, whichever channels are left.
        self._first = next(iter(self._channels)).decode()
        self._pubsub: PubSub | None = None
        self._moves = 0
        #: Channels that are heard although nobody follows them any more.
        self._left: set[bytes] = set()
        self._bell: Bell | None = None

    def open(self) -> None:
        """Subscribe.

        Raises:
            redis.exceptions.RedisError: the server did not answer.
        """
        self._moves = self._link.moves
        if not self._channels:
            return
        # Any node of a cluster receives what is published on another one.
        client = self._link.client_of(next(iter(self._channels)).decode())
        self._pubsub = client.pubsub()  # type: ignore[no-untyped-call]  # redis-py
        self._pubsub.subscribe(*self._channels)

    def add(self, keys: Sequence[Key]) -> None:
        """Listen to the channels of *keys* too."""
        added = {channel: key for key in keys if (channel := self._channel_of(key)) not in self._channels}
        self._channels.update(added)
        self._left.difference_update(added)
        with self.unavailable():
            if self._pubsub is None:
                self.open()
            elif added:
                self._pubsub.subscribe(*added)

    def leave(self, keys: Sequence[Key]) -> None:
        """Listen to the channels of *keys* no more."""
        for key in keys:
            channel = self._channel_of(key)
            if self._channels.pop(channel, None):
                self._left.add(channel)
        # Few cost the server nothing. A new connection needs no right to unsubscribe.
        if len(self._left) >= _LEFT_AT_ONCE:
            self._left.clear()
            self.close()

    def wait(self, timeout: float) -> frozenset[Key]:
        """Return the keys whose wake-up came within *timeout* seconds; those that came already at once."""
        with self.unavailable():
            return self._wait(timeout)

    def _wait(self, timeout: float) -> frozenset[Key]:
        if self._pubsub is None or self._moves != self._link.moves:
            # The server was left: nothing is published there any more, and wake-ups may have been missed.
            self.close()
            self.open()
            return frozenset(self._channels.values())
        woken: set[Key] = set()
        self._pubsub.check_health()
        comes = self._wait_for_bytes(self._pubsub.connection, timeout)
        while comes:
            message = self._pubsub.get_message(timeout=_WHOLE)
            if message is not None and message["type"] == "message":
                woken.add(self._channels.get(message["channel"], _NO_KEY))
            comes = _can_read(self._pubsub.connection)
        return frozenset(woken - {_NO_KEY})

    def _wait_for_bytes(self, connection: Any, timeout: float) -> bool:  # noqa: ANN401  # redis-py's
        """Return whether *connection* has bytes within *timeout* seconds; False where the bell rang first."""
        if self._bell is None or _can_read(connection):
            return _can_read(connection, timeout)
        # redis-py waits for its own socket only, and has no public name for it.
        self._bell.wait(connection._sock, timeout)  # noqa: SLF001
        return _can_read(connection)

    def bell(self) -> Callable[[], None]:
        """Return a function that ends a wait; it costs two file descriptors until the subscription ends."""
        self._bell = self._bell or Bell()
        return self._bell.ring

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """Raise StoreUnavailable where the server does not answer."""
        try:
            yield
        except RedisError as exc:
            place = self._link.place_of(self._first)
            raise StoreUnavailable(verb="subscribe", reason=reason_of(exc), server=place) from exc

    def end(self) -> None:
        """Subscribe no more, and end no wait any more."""
        self.close()
        if self._bell is not None:
            self._bell.close()

    def close(self) -> None:
        """Close the connection; the next wait opens another one."""
        if self._pubsub is not None:
            self._pubsub.close()
            self._pubsub = None


def _can_read(connection: Any, timeout: float = 0) -> bool:  # noqa: ANN401  # redis-py's
    return bool(connection.can_read(timeout))
