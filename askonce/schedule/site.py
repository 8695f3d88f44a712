"""What a slot works on: the tasks and the store of one application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event as Signal
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.events import Listener, ignore
from askonce.lease import since_boot
from askonce.spec import LONGEST_QUEUE_DEADLINE, JobSpec, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from askonce.job import Job
    from askonce.outcomes import Outcome
    from askonce.store import Store

#: What came of a slot so far: counts, US dollars, words.
Facts = Mapping[str, int | float | str]

#: The terms of the job that a slot is. It is parked between its steps, which uses no attempt. A killed worker
#: uses one, and so does each week without an end.
SLOT: Final = JobSpec(
    name="askonce.slot",
    key_fields=("entry", "slot"),
    shown=("entry", "slot"),
    soft_ttl=LONGEST_QUEUE_DEADLINE,
    hard_ttl=LONGEST_QUEUE_DEADLINE,
    park_for=LONGEST_QUEUE_DEADLINE,
    retry=RetryPolicy(max_attempts=100, base=1.0, cap=60.0),
)


class RunInputs(NamedTuple):
    """What a producer's run asked for."""

    #: Files of JSON lines, in the order of its rows.
    paths: Sequence[Path]
    task: str
    tenant: str = ""


class InputsUnusable(Exception):
    """The rows of a run cannot be had; the text says why, in one line."""


def _rest(seconds: float) -> None:
    Signal().wait(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One application, as its slots see it."""

    store: Store
    #: The terms of each task, by its name.
    specs: Mapping[str, JobSpec]
    #: Enqueues a payload for a task; options and errors as ``Producer.enqueue``.
    enqueue: Callable[..., Outcome]
    #: Returns the job that this would make of a task's payload for a tenant. Raises PayloadInvalid.
    identify: Callable[[str, Mapping[str, object], str], Job]
    #: Returns what a run asked for, by the path of its journal; None where no app knows journals.
    #: Raises InputsUnusable.
    inputs_of_run: Callable[[Path], RunInputs] | None = None
    listen: Listener = ignore
    #: Seconds that go on while the process stands still.
    clock: Callable[[], float] = since_boot
    wait: Callable[[float], object] = _rest
