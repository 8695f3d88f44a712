"""Sets up logging in a worker: one line for each event, and no line with customers' data."""

from __future__ import annotations

import logging
from logging.handlers import WatchedFileHandler

#: These log every message or request, with addresses. Our own line for the event has what they show.
_CHATTY = ("celery.app.trace", "celery.pool", "celery.worker.strategy", "httpx2", "httpcore2", "openai")


def configure(loglevel: int | str = logging.INFO, logfile: str | None = None, **_: object) -> None:
    """Set logging up in place of Celery, for the main process and its children; a handler of its signal.

    *logfile* is the file of this process. It is opened again after a rotation.
    """
    handler = WatchedFileHandler(logfile, encoding="utf-8") if logfile else None
    logging.basicConfig(
        level=loglevel,
        format="%(asctime)s %(levelname)s %(processName)s %(message)s",
        handlers=[handler] if handler else None,
        # A child that has a file of its own does not write to its parent's.
        force=handler is not None,
    )
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
