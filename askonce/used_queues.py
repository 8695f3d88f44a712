"""Which queues are in use: those that jobs were enqueued for, and those that workers took.

A store keeps them for an operator, and no verb depends on them. A process that enqueues writes each of its
queues once an hour, together with what it sends to the store anyway; a worker with each announcement.
"""

from __future__ import annotations

from askonce.announcements import is_name

#: Seconds between two notes of one process on one queue that it enqueues for.
NOTED_EVERY = 3600.0
#: Seconds for which a queue is known after its last use. Its messages may wait for longer than their records.
USE_KEPT = 30 * 86_400.0
#: So many queues are known; those that were used last, since callers choose names.
QUEUES_KEPT = 500


def is_queue(name: str) -> bool:
    """Return whether *name* is kept as a queue's; it is empty where only the broker knows the queue."""
    return bool(name) and is_name(name)
