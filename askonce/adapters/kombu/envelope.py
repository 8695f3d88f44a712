"""Checks an item of a queue: whether kombu can read it, note its delivery, and put it back."""

from __future__ import annotations

from binascii import a2b_base64
from typing import Any

from kombu.utils.json import loads

#: Levels of the lists and objects in an item: kombu writes it again, by recursion.
DEPTH_MAX = 50
#: Where a message was sent, and what we and kombu note at its delivery. kombu reads more names here, such as
#: a consumer's; no sender has them.
_WHERE = {"exchange", "routing_key", "redelivered", "queue"}
#: Characters of a queue's name, a routing key or a tag.
_NAME_MAX = 1000


def is_message(item: bytes) -> bool:
    """Return whether kombu can read *item*; its content is not checked."""
    try:
        # As kombu reads it next: that converts texts into the types that they name.
        return is_envelope(loads(item))
    except Exception:  # noqa: BLE001  # whatever those types raise
        return False


def is_envelope(envelope: Any) -> bool:  # noqa: ANN401  # any JSON
    """Return whether kombu can take *envelope* for a message."""
    try:
        headers, properties = envelope.get("headers", {}), envelope["properties"]
        return (
            isinstance(headers, dict)
            and isinstance(properties, dict)
            and is_shallow(envelope, DEPTH_MAX)
            and _is_sent(properties)
            and _has_body(properties, envelope.get("body"))
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        return False


def is_shallow(value: object, depth: int) -> bool:
    """Return whether the lists and objects of *value* have at most *depth* levels."""
    level = [value]
    for _ in range(depth + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list, tuple))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return False


def _is_sent(properties: dict[str, Any]) -> bool:
    where = properties["delivery_info"]
    # kombu gives each of them back to the server, as text.
    names = properties["delivery_tag"], where["exchange"], where["routing_key"]
    return (
        where.keys() <= _WHERE
        and len("".join(names).encode()) <= _NAME_MAX
        and type(properties.get("priority", 0)) in (int, type(None))
    )


def _has_body(properties: dict[str, Any], body: object) -> bool:
    form = (properties.get("body_encoding") or "utf-8").lower()
    # With kombu's option ``body_encoding`` off, bytes are an object that kombu's JSON has read already.
    if body and form == "base64" and isinstance(body, (str, bytes)):
        a2b_base64(body)
    return form in ("base64", "utf-8") and isinstance(body, (str, bytes, type(None)))
