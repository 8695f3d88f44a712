"""Counts the events of this process: ``celery -A worker.app inspect counts``.

With prefork each child has its own counts. The command returns those of the main process.
"""

from __future__ import annotations

import os
from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING

from celery.worker.control import inspect_command

if TYPE_CHECKING:
    from askonce.events import Event

_counted, _lock = Counter[str](), Lock()


def _forget_lock() -> None:
    # A child must not wait for a lock that another thread of its parent held: the reaper emits events too.
    global _lock  # noqa: PLW0603  # one for the process, as the counts
    _lock = Lock()


os.register_at_fork(after_in_child=_forget_lock)


def count(event: Event) -> None:
    """Count *event* under its name and task."""
    with _lock:
        _counted[f"{event.name} {event.task}".rstrip()] += 1


@inspect_command()
def counts(state: object) -> dict[str, int]:
    """Return the number of events so far, by name and task."""
    del state
    with _lock:
        return dict(sorted(_counted.items()))
