"""Counts the events of this process: ``celery -A worker.app inspect counts``.

With prefork each child has its own counts. The command returns those of the main process. A message may name
any task, so only the tasks of the catalog have counts of their own; the others share one.
"""

from __future__ import annotations

import os
from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING

from celery.worker.control import inspect_command

from tasks.catalog import TASKS

if TYPE_CHECKING:
    from askonce.events import Event

_counted, _lock = Counter[str](), Lock()
_TASKS = {"", *(task.name for task in TASKS)}
#: Stands for all tasks that are not of the catalog.
_OTHER = "other"


def _forget_lock() -> None:
    # A child must not wait for a lock that another thread of its parent held: the reaper emits events too.
    global _lock  # noqa: PLW0603  # one for the process, as the counts
    _lock = Lock()


os.register_at_fork(after_in_child=_forget_lock)


def count(event: Event) -> None:
    """Count *event* under its name and task."""
    task = event.task if event.task in _TASKS else _OTHER
    with _lock:
        _counted[f"{event.name} {task}".rstrip()] += 1


@inspect_command()
def counts(state: object) -> dict[str, int]:
    """Return the number of events so far, by name and task."""
    del state
    with _lock:
        return dict(sorted(_counted.items()))
