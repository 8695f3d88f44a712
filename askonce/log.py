"""Writes one line for each event: ``job.done task=... key=... name=value``."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import TYPE_CHECKING

from askonce.events import EventType
from askonce.line import one_line

if TYPE_CHECKING:
    from askonce.events import Event

log = logging.getLogger("askonce")

#: Digits of a key that a line shows: enough to find the record.
_KEY_SHOWN = 16


class EventLine:
    """An event as the message of a log record: its text is the line, and a formatter may read its fields."""

    __slots__ = ("event",)

    def __init__(self, event: Event) -> None:
        self.event = event

    def __str__(self) -> str:
        return _line(self.event)


def log_event(event: Event) -> None:
    """Log *event* on logger ``askonce``, at its own level; its text is made only where it is written."""
    if log.isEnabledFor(event.type.level):
        log.log(event.type.level, EventLine(event))


def fields_of(event: Event) -> dict[str, object]:
    """Return what is known of *event*: its job with the whole key, then its own fields."""
    named = {"task": event.task, "key": event.key, "job": event.job, **event.data}
    also, ids = event.type.also, named.pop("ids", ())
    if also and (event.type is not EventType.JOB_DONE or "size" in named):
        named["also"] = also
    if isinstance(ids, tuple):
        # A field of a payload that has the name of one of ours does not hide it.
        named |= {name: value for name, value in ids if name not in named}
    return {name: value for name, value in named.items() if value not in ("", None)}


def _line(event: Event) -> str:
    words = (f"{name}={shown(name, value)}" for name, value in fields_of(event).items())
    # Names of tasks, fields and queues come from messages too.
    return one_line(" ".join([event.name, *words]))


def shown(name: str, value: object) -> str:
    """Return the *value* of a field of this *name* as people read it."""
    if name == "key":
        return str(value)[:_KEY_SHOWN]
    # Three digits are enough for seconds, and nothing for money: many a call costs less than that.
    if name == "cost_usd" and isinstance(value, int | float):
        return digits_of(value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def digits_of(cost: float) -> str:
    """Return a cost in plain digits, ``0.000213``: six that count below a dollar, and millionths above it."""
    rounded = f"{cost:.6f}" if abs(cost) >= 1 else f"{Decimal(f'{cost:.6g}'):f}"
    return rounded.rstrip("0").rstrip(".") if "." in rounded else rounded
