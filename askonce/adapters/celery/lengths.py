"""Asks the broker how many messages wait in a queue, on a connection of its own, each wait bounded."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from amqp.exceptions import NotFound
from redis.exceptions import ResponseError

from askonce.adapters.celery.patience import bounded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

#: Seconds of each wait for the broker.
PATIENCE = 2.0


class QueueLengths:
    """The lengths of the queues on one app's broker; for one thread."""

    def __init__(self, app: Celery) -> None:
        """Connect at the first look."""
        self._app = app
        #: Transport and connection.
        self._opened: tuple[Any, Any] | None = None
        self._channel: Any = None

    def of(self, queues: Iterable[str]) -> dict[str, int | None]:
        """Return how many messages wait in each of *queues*; None where the broker cannot say for certain.

        Raises:
            Exception: whatever the transport raises, or the server tells of no queue at all. The next call
                connects again.
        """
        try:
            told = {name: self._told(name) for name in queues}
        except Exception:
            self.close()
            raise
        refused = [answer for answer in told.values() if isinstance(answer, ResponseError)]
        if refused and len(refused) == len(told):
            raise refused[0]
        # Callers name queues: one that this user may not read, or that is no queue, hides no other.
        return {name: None if isinstance(answer, ResponseError) else answer for name, answer in told.items()}

    def close(self) -> None:
        """Close the connection."""
        opened, self._opened, self._channel = self._opened, None, None
        if opened is not None:
            with suppress(Exception):
                opened[0].close_connection(opened[1])

    def _told(self, queue: str) -> int | ResponseError | None:
        try:
            return self._length(queue)
        except ResponseError as refused:
            return refused

    def _length(self, queue: str) -> int | None:
        transport, channel = self._open()
        match transport.driver_type:
            case "redis":
                return int(channel._size(queue))  # noqa: SLF001  # a passive declare refuses an empty list
            case "amqp":
                try:
                    return int(channel.queue_declare(queue, passive=True).message_count)
                except NotFound:
                    # The server has closed the channel; the connection goes on.
                    self._channel = None
                    return None
            case _:
                return None

    def _open(self) -> tuple[Any, Any]:
        if self._opened is None:
            connection: Any = self._app.connection_for_read(
                connect_timeout=PATIENCE, transport_options=bounded(self._app, PATIENCE)
            )
            self._opened = connection.transport, connection.transport.establish_connection()
        transport, established = self._opened
        if self._channel is None:
            self._channel = transport.create_channel(established)
        return transport, self._channel
