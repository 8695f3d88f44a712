"""Sends a dead message to its queue again, as it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from kombu.exceptions import OperationalError

if TYPE_CHECKING:
    from celery import Celery

    from askonce.adapters.celery.sender import CelerySender
    from askonce.letters import DeadMessage
    from askonce.store import Store


def send_again(message: DeadMessage, *, app: Celery, sender: CelerySender, store: Store) -> str | None:
    """Send *message* by *sender* to its queue; return why it was not sent, None where it was.

    Raises:
        StoreUnavailable: the store did not say which queues workers read.
    """
    about: dict[str, Any] = json.loads(message.about)
    if not message.whole or not about.get("headers"):
        return "is no whole message: it can only be discarded"
    queue = _queue(message.queue, app, store)
    if queue is None:
        # A broker accepts a message for a queue that does not exist, and drops it.
        return f"no worker reads its queue {message.queue!r}: it can only be discarded"
    try:
        with sender.producer() as producer:
            producer.publish(
                message.body,
                routing_key=message.queue,
                declare=[queue],
                headers=about["headers"],
                content_type=about["content_type"],
                content_encoding=about["content_encoding"],
                correlation_id=message.job,
                retry=False,
            )
    except OperationalError:
        return "not sent: the broker does not answer"
    return None


def _queue(name: str, app: Celery, store: Store) -> Any:
    """Return *app*'s queue of this name; None where neither its settings nor a living worker have it."""
    queues: Any = cast("Any", app).amqp.queues
    known = queues.get(name)
    if known is not None or not any(name in each.queues for each in store.announcements.workers()):
        return known
    try:
        # A route may name a queue that no setting has.
        return queues[name]
    except KeyError:
        return None
