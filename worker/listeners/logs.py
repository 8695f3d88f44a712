"""Writes one line for each thing that happens to a job: ``event key=value ...``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from celery.signals import setup_logging

if TYPE_CHECKING:
    from askonce.events import Event

log = logging.getLogger("askonce")

#: A person may want to look at these.
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
#: These tell of every message or request; what they say stands in our own line, without addresses.
_CHATTY = ("celery.app.trace", "celery.worker.strategy", "httpx2", "httpcore2", "openai")


class _NoBodies(logging.Filter):
    """Keeps the bodies of messages that are no job out of the log: Celery writes them there in full."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave what happened, and drop what it happened to."""
        told = str(record.msg)
        if "body" in told:
            record.msg, record.args, record.exc_info = (
                f"refused: {told.splitlines()[0].split('%')[0]}",
                (),
                None,
            )
        return True


@setup_logging.connect
def configure(loglevel: int | str = logging.INFO, **_: object) -> None:
    """Set logging up in place of Celery, for the main process and its children."""
    logging.basicConfig(level=loglevel, format="%(asctime)s %(levelname)s %(processName)s %(message)s")
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_NoBodies())


def log_event(event: Event) -> None:
    """Log *event*; a full key is only in the record, sixteen digits are enough to find it."""
    level = logging.WARNING if event.name in _WARNINGS else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "%s", _line(event))


def _line(event: Event) -> str:
    named = {"task": event.task, "key": event.key[:16], "job": event.job, **event.data}
    return " ".join([event.name, *(f"{k}={_shown(v)}" for k, v in named.items() if v not in ("", None))])


def _shown(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
