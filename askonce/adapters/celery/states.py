"""The states of a job that Celery has no name for, as monitors show them: parked, and quarantined.

A worker sends ``task-parked`` after ``task-retried``, and ``task-quarantined`` after ``task-failed``, so that
programs that count Celery's own events miss none. Celery ranks states, and an unknown one above STARTED: a
parked job that runs again would still be shown as parked. So both get a rank in each process that loads the
app, such as Flower.
"""

from __future__ import annotations

from typing import Final

from celery import states
from celery.exceptions import Retry

#: Put back before anything was paid; it is started again by itself.
PARKED: Final = "PARKED"
#: Its attempts are spent: an operator decides.
QUARANTINED: Final = "QUARANTINED"

_ranks = states.PRECEDENCE_LOOKUP
_ranks.update({PARKED: _ranks[states.RETRY], QUARANTINED: _ranks[states.FAILURE]})


class Parked(Retry):
    """The job is parked: its record has it, and the reaper sends it again."""
