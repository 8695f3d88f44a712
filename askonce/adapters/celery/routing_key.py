"""Knows by which key a message went to its queue."""

from __future__ import annotations

import re

#: What RabbitMQ's delay of messages puts before the key.
_DELAY = re.compile(r"^(?:[01]\.){28}")


def routing_key_of(delivery_info: object) -> str:
    """Return the routing key in *delivery_info* as the sender wrote it; empty where there is none."""
    key = delivery_info.get("routing_key") if isinstance(delivery_info, dict) else None
    return _DELAY.sub("", str(key or ""))
