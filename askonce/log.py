"""Writes one line for each event: ``job.completed task=... key=... name=value``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from askonce.events import Event

log = logging.getLogger("askonce")

#: Digits of a key that a line shows: enough to find the record.
KEY_SHOWN = 16
#: Events that a person may want to look at.
_WARNINGS = frozenset(
    {
        "job.failed",
        "job.invalid",
        "job.fenced",
        "job.unstored",
        "job.unkept",
        "job.degraded",
        "job.send_failed",
        "message.garbage",
        "message.identity_mismatch",
        "message.invalid_payload",
        "message.invalid_task",
        "message.other_version",
        "message.undecodable",
        "message.unkept",
        "message.unknown_task",
        "lease.lost",
        "reaper.failed",
        "store.down",
    }
)


def log_event(event: Event) -> None:
    """Log *event* on logger ``askonce``, at its own level."""
    level = logging.WARNING if event.name in _WARNINGS else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "%s", _line(event))


def _line(event: Event) -> str:
    named = {"task": event.task, "key": event.key[:KEY_SHOWN], "job": event.job, **event.data}
    return " ".join([event.name, *(f"{k}={_shown(v)}" for k, v in named.items() if v not in ("", None))])


def _shown(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
