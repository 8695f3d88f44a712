"""Counts the events of this process: ``celery -A worker.app inspect counts``.

With prefork each child has its own counts. The command returns those of the main process.
"""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING

from celery.worker.control import inspect_command

if TYPE_CHECKING:
    from askonce.events import Event

_counted, _lock = Counter[str](), Lock()


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
