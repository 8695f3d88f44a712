"""Celery's pool of threads, with a _log line instead of a traceback where a thread cannot be ended."""

from __future__ import annotations

import logging

from celery.concurrency.thread import TaskPool as CeleryTaskPool

_log = logging.getLogger("askonce")


class TaskPool(CeleryTaskPool):
    """Celery's threads."""

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Let the call run on, after a shutdown's grace period or a ``revoke(terminate=True)``."""
        del pid, signal
        _log.warning("a call in a thread goes on under its lease: only its own timeout, or a kill, ends it")
