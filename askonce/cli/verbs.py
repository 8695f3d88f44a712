"""The verbs that every command line of askonce has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.cli.audit import audit
from askonce.cli.cache import cache
from askonce.cli.cancel import cancel
from askonce.cli.cost import cost
from askonce.cli.dead import dead
from askonce.cli.doctor import doctor
from askonce.cli.explain import explain
from askonce.cli.jobs import jobs
from askonce.cli.pause import pause, pauses, resume
from askonce.cli.queue import queue
from askonce.cli.result import result
from askonce.cli.runs import runs
from askonce.cli.schedule import schedule

if TYPE_CHECKING:
    import click

VERBS: Final[tuple[click.Command, ...]] = (
    result,
    explain,
    doctor,
    cost,
    cache,
    jobs,
    queue,
    runs,
    cancel,
    pause,
    resume,
    pauses,
    schedule,
    dead,
    audit,
)
