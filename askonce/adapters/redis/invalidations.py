"""Tells processes that keep answers of their own which of them were invalidated, through pub/sub.

One channel for a namespace. A message is the key of one record; any other text stands for many of them.
"""

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

    from askonce.adapters.redis.scripts import Scripts

_KEY_LENGTH = 64
#: Seconds: as long as any reply may take.
_CONFIRMED_WITHIN = 1.0


@contextmanager
def invalidations(scripts: Scripts) -> Iterator[RedisInvalidations]:
    """Listen from now on.

    Raises:
        StoreUnavailable: the server did not answer.
    """
    heard = RedisInvalidations(scripts)
    try:
        with heard.unavailable():
            heard.open()
        yield heard
    finally:
        heard.close()


class RedisInvalidations:
    """What came on the channel."""

    def __init__(self, scripts: Scripts) -> None:
        """Listen through the link of *scripts*; ``open`` begins."""
        self._link, self._channel = scripts.link, scripts.invalidated
        self._pubsub: PubSub | None = None
        self._moves = 0

    def open(self) -> None:
        """Subscribe.

        Raises:
            redis.exceptions.RedisError: the server did not answer.
        """
        self._moves = self._link.moves
        # Any node of a cluster receives what is published on another one.
        self._pubsub = self._link.client_of(self._channel).pubsub()  # type: ignore[no-untyped-call]  # redis-py
        self._pubsub.subscribe(self._channel)
        # Once the server has confirmed it, what is published is heard.
        self._pubsub.get_message(timeout=_CONFIRMED_WITHIN)

    def wait(self, timeout: float) -> frozenset[Key] | None:
        """Return the keys that came within *timeout* seconds; None where any may have."""
        with self.unavailable():
            if self._pubsub is None or self._moves != self._link.moves:
                # The server was left: nothing is published there any more.
                self.close()
                self.open()
                return None
            found = list(self._messages(self._pubsub, timeout))
        # A mark, which is JSON, may be as long as a key.
        keys = frozenset(Key(text) for text in found if len(text) == _KEY_LENGTH and text[0] != "{")
        return keys if len(keys) == len(set(found)) else None

    @staticmethod
    def _messages(pubsub: PubSub, timeout: float) -> Iterator[str]:
        message = pubsub.get_message(timeout=timeout)
        while message is not None:
            if message["type"] == "message":
                yield message["data"].decode(errors="replace")
            message = pubsub.get_message(timeout=0)

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """Raise StoreUnavailable where the server does not answer."""
        try:
            yield
        except RedisError as exc:
            place = self._link.place_of(self._channel)
            raise StoreUnavailable(verb="invalidations", reason=reason_of(exc), server=place) from exc

    def close(self) -> None:
        """Listen no more."""
        if self._pubsub is not None:
            self._pubsub.close()
            self._pubsub = None
