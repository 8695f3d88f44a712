"""Knows how far this worker's queues have delivered their messages, so that a long queue is no lost message.

Two things prove that a message is not in its queue any more. On Redis, whose lists keep their order, a later
message of the same priority was delivered. On any broker, the queue was empty at some later time.
"""

from __future__ import annotations

from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any

from celery.bootsteps import Step
from celery.worker import state

from askonce.adapters.celery.header import HEADER
from askonce.adapters.celery.lengths import QueueLengths
from askonce.adapters.celery.routing_key import routing_key_of
from askonce.lost import ANY_PRIORITY, Delivered
from askonce.options import PRIORITY_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery


#: Noted routing keys and priorities that are no queue of this worker: strangers write them.
_KEPT = 100


class Deliveries:
    """What the consumer of one worker has received, and which of its queues are empty."""

    def __init__(self, app: Celery) -> None:
        """Know nothing until a consumer starts."""
        self._app = app
        self._consumer: Any = None
        self._newest: dict[tuple[str, int], int] = {}
        self._lengths = QueueLengths(app)

    def follow(self, consumer: Any) -> None:
        """Note what *consumer* receives from now on."""
        self._consumer = consumer

    def note(self, message: Any) -> None:
        """Note one message of ours; called in the consumer's thread, for each message."""
        sent_at = _sent_at(message.headers)
        if not sent_at:
            return
        which = routing_key_of(message.delivery_info), _priority_of(message.properties)
        if which not in self._newest and len(self._newest) >= _KEPT and not self._has_queue(which[0]):
            return
        if sent_at > self._newest.get(which, 0):
            self._newest[which] = sent_at

    def seen(self) -> list[Delivered]:
        """Return how far the queues have delivered; an empty list where that is unknown."""
        if self._consumer is None:
            return []
        return [*self._in_order(), *self._empty()]

    @cached_property
    def _keeps_order(self) -> bool:
        transport: Any = self._app.connection_for_read().transport
        return bool(transport.driver_type == "redis")

    def _in_order(self) -> Iterator[Delivered]:
        if not self._keeps_order:
            return
        # In this order: a message that is received meanwhile is among the held ones, or not yet the newest.
        newest_of = dict(self._newest)
        held = self._oldest_held()
        if held is None:
            return
        for (queue, priority), newest in newest_of.items():
            # A message that waits in this worker for a slot was delivered, and is not lost.
            sent_at = min(newest, held.get((queue, priority), newest + 1) - 1)
            for name in self._names_by(queue):
                yield Delivered(name, priority, sent_at=sent_at)

    def _has_queue(self, name: str) -> bool:
        known: Any = self._app.amqp
        return name in known.queues

    def _names_by(self, routing_key: str) -> set[str]:
        """Return what records call the one queue of *routing_key*; an empty set where there are several.

        Celery gives its default key to each queue that has none: one of them is empty, another is long.
        """
        known: Any = self._app.amqp
        named = {name for name, queue in known.queues.items() if routing_key in (name, queue.routing_key)}
        return {routing_key, *named} if len(named) <= 1 else set()

    def _oldest_held(self) -> dict[tuple[str, int], int] | None:
        """Return the oldest message that waits here for a slot, by queue and priority; None if unknown."""
        try:
            waiting = set(state.reserved_requests) - set(state.active_requests)
        except RuntimeError:  # a set changed in another thread: the next look is early enough
            return None
        oldest: dict[tuple[str, int], int] = {}
        for request in waiting:
            sent_at = _sent_at(request.request_dict)
            which = routing_key_of(request.delivery_info), _priority_of(request.delivery_info)
            if sent_at:
                oldest[which] = min(sent_at, oldest.get(which, sent_at))
        return oldest

    def _empty(self) -> Iterator[Delivered]:
        consumer = getattr(self._consumer, "task_consumer", None)
        queues = list(consumer.queues) if consumer is not None else []
        began = monotonic()
        try:
            # Only the reaper's thread uses this connection.
            lengths = self._lengths.of(queue.name for queue in queues)
        except Exception:  # noqa: BLE001  # whatever the transport raises: then nothing is known
            return
        empty = [queue for queue in queues if lengths[queue.name] == 0]
        held = self._oldest_held()
        if held is None:
            return
        for queue in empty:
            names = {queue.name, *self._names_by(queue.routing_key or queue.name)}
            waiting = [sent_at for (routing_key, _), sent_at in held.items() if routing_key in names]
            for name in names:
                if waiting:
                    yield Delivered(name, ANY_PRIORITY, sent_at=min(waiting) - 1)
                else:
                    yield Delivered(name, ANY_PRIORITY, seconds=monotonic() - began)


class DeliveriesStep(Step):
    """Notes each message that Celery's consumer receives."""

    def __init__(self, parent: Any, **_: Any) -> None:
        """Wrap what *parent* does with each message, whatever its class."""
        deliveries: Deliveries = parent.app.askonce.deliveries
        deliveries.follow(parent)
        create: Callable[..., Any] = parent.create_task_handler

        def create_task_handler(*args: Any, **options: Any) -> Callable[[Any], object]:
            handle = create(*args, **options)

            def on_task_received(message: Any) -> object:
                deliveries.note(message)
                return handle(message)

            return on_task_received

        parent.create_task_handler = create_task_handler


def _sent_at(headers: object) -> int:
    """Return the time that a message of ours carries; 0 for any other message."""
    own = headers.get("headers") if isinstance(headers, dict) else None
    # Celery's own headers hold ours; a request shows both in one place.
    identity = own.get(HEADER) if isinstance(own, dict) else None
    sent_at = identity.get("sent_at") if isinstance(identity, dict) else None
    return sent_at if type(sent_at) is int else 0


def _priority_of(described: Any) -> int:
    priority = described.get("priority")
    return priority if type(priority) is int and 0 <= priority <= PRIORITY_MAX else 0
