"""Writes one line for each event: ``job.completed task=... key=... name=value``."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import TYPE_CHECKING

from askonce.line import one_line

if TYPE_CHECKING:
    from askonce.events import Event

log = logging.getLogger("askonce")

#: Digits of a key that a line shows: enough to find the record.
_KEY_SHOWN = 16


def log_event(event: Event) -> None:
    """Log *event* on logger ``askonce``, at its own level."""
    if log.isEnabledFor(event.type.level):
        log.log(event.type.level, "%s", _line(event))


def _line(event: Event) -> str:
    named = {"task": event.task, "key": event.key[:_KEY_SHOWN], "job": event.job, **event.data}
    words = (f"{name}={_shown(name, value)}" for name, value in named.items() if value not in ("", None))
    # Names of tasks, fields and queues come from messages too.
    return one_line(" ".join([event.name, *words]))


def _shown(name: str, value: object) -> str:
    # Three digits are enough for seconds, and nothing for money: many a call costs less than that.
    if name == "cost_usd" and isinstance(value, int | float):
        return digits_of(value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def digits_of(cost: float) -> str:
    """Return a cost in plain digits, ``0.000213``: six that count below a dollar, and millionths above it."""
    rounded = f"{cost:.6f}" if abs(cost) >= 1 else f"{Decimal(f'{cost:.6g}'):f}"
    return rounded.rstrip("0").rstrip(".") if "." in rounded else rounded
