"""Gives a message back so that it is the first of its queue again."""

from __future__ import annotations

from typing import Any

from kombu.transport import virtual


def put_first(message: Any) -> None:  # noqa: ANN401  # a message of any transport
    """Give *message* back to its queue.

    RabbitMQ puts a message that is rejected to where it was. kombu's Redis transport puts it behind all
    others, and only what a lost worker held to the front.
    """
    qos: Any = getattr(message.channel, "qos", None)
    restore = getattr(qos, "restore_by_tag", None)
    if restore is None:
        message.requeue()
        return
    try:
        restore(message.delivery_tag)
    finally:
        # Where the server does not answer, it comes again as from a lost worker.
        virtual.QoS.ack(qos, message.delivery_tag)
    message._state = "REQUEUED"  # noqa: SLF001  # as its own requeue
