"""Sets up logging in a worker: one line for each event, and no line with customers' data."""

from __future__ import annotations

import logging

#: These log every message or request, with addresses. Our own line for the event has what they show.
_CHATTY = ("celery.app.trace", "celery.worker.strategy", "httpx2", "httpcore2", "openai")


def configure(loglevel: int | str = logging.INFO, **_: object) -> None:
    """Set logging up in place of Celery, for the main process and its children; a handler of its signal."""
    logging.basicConfig(level=loglevel, format="%(asctime)s %(levelname)s %(processName)s %(message)s")
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
