"""Sets up logging in a worker: one line for each event, and no line with customers' data."""

from __future__ import annotations

import logging

#: These log every message or request, with addresses. Our own line for the event has what they show.
_CHATTY = ("celery.app.trace", "celery.worker.strategy", "httpx2", "httpcore2", "openai")


class _NoBodies(logging.Filter):
    """Keeps the bodies of unusable messages out of the log: Celery writes them there in full."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the kind of the refusal, and drop the message's body."""
        text = str(record.msg)
        if "body" in text:
            record.msg, record.args, record.exc_info = (
                f"refused: {text.splitlines()[0].split('%')[0]}",
                (),
                None,
            )
        return True


def configure(loglevel: int | str = logging.INFO, **_: object) -> None:
    """Set logging up in place of Celery, for the main process and its children; a handler of its signal."""
    logging.basicConfig(level=loglevel, format="%(asctime)s %(levelname)s %(processName)s %(message)s")
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_NoBodies())
