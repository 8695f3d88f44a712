"""kombu's Redis transport, with one client for a channel instead of one for each command.

kombu makes a new redis-py client for every publish, every delivery and every acknowledgement. With
redis-py 8 each of them builds its table of response callbacks anew, which costs more than the command:
about a third of what a worker spends on a message. Used by ``broker_transport`` in ``celeryconfig.py``;
a unix socket's URL names its transport itself, and gets kombu's own.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis


class Channel(redis.Channel):
    """A channel that keeps its client as long as its pool of connections."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> object:  # noqa: FBT001, FBT002  # kombu's signature
        # The asynchronous one belongs to the event loop and is kept by kombu itself.
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # not in the stubs
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()  # type: ignore[misc]  # not in the stubs
        return self._kept


class Transport(redis.Transport):
    """kombu's transport with that channel."""

    Channel = Channel
