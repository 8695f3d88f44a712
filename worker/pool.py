"""A pool of threads, which cannot be ended from outside: says so, where Celery's own ends in a traceback."""

from __future__ import annotations

import logging

from celery.concurrency.thread import TaskPool as CeleryTaskPool

log = logging.getLogger("askonce")


class TaskPool(CeleryTaskPool):
    """Celery's threads."""

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Leave a call to itself, on a shutdown whose grace is over or a ``revoke(terminate=True)``."""
        del pid, signal
        log.warning("a call in a thread goes on under its lease: only its own timeout, or a kill, ends it")
