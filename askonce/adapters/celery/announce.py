"""Announces a Celery worker: its idempotent tasks, the queues that it consumes, and its slots."""

from __future__ import annotations

import os
from functools import wraps
from typing import TYPE_CHECKING, Any

from celery.bootsteps import StartStopStep

from askonce.announcements import Announcement

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.spec import JobSpec

#: What a consumer does when its queues change: it begins to consume, adds a queue, cancels one.
_CHANGES = ("on_ready", "add_task_queue", "cancel_task_queue")


class AnnounceStep(StartStopStep):
    """Announces each worker's main process, from start to stop."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """Begin to announce; the consumer is there and has no queue yet."""
        announcer = parent.app.askonce.process().announcer
        for name in _CHANGES:
            _follow(parent.consumer, name, announcer.announce_soon)
        announcer.start(lambda: describe(parent))

    def stop(self, parent: Any) -> None:
        """Withdraw the worker: its consumer has stopped."""
        parent.app.askonce.process().announcer.stop()

    terminate = stop


def describe(worker: Any) -> Announcement | None:
    """Return what *worker* takes now; None before its consumer has a broker."""
    consumer = worker.consumer.task_consumer
    if consumer is None:
        return None
    taken = [queue.name for queue in consumer.queues if consumer.consuming_from(queue)]
    # A paused queue has a worker: it goes on when its pause ends.
    taken += worker.app.askonce.paused_queues.held
    specs = _specs_of(worker.app)
    return Announcement(
        # Two workers may have one name.
        worker=f"{worker.hostname}:{os.getpid()}",
        tasks={spec.name: spec.version for spec in specs},
        models={spec.name: spec.model for spec in specs if spec.model},
        queues=tuple(sorted(taken)),
        slots=worker.pool.num_processes,
    )


def _specs_of(app: Any) -> list[JobSpec]:
    return [task.job_spec for task in app.tasks.values() if hasattr(type(task), "job_spec")]


def _follow(consumer: Any, name: str, then: Callable[[], None]) -> None:
    """Call *then* after each call of the method *name* of *consumer*."""
    method = getattr(consumer, name)

    @wraps(method)
    def followed(*args: Any, **options: Any) -> object:
        try:
            return method(*args, **options)
        finally:
            then()

    setattr(consumer, name, followed)
