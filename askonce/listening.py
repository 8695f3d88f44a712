"""Decides whether a living worker would run the next job of a task, and names the reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, assert_never

from askonce.checks import Finding
from askonce.controls import note_of_job
from askonce.line import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from askonce.announcements import Announcement
    from askonce.controls import Pause
    from askonce.spec import JobSpec
    from askonce.store import Store

_START = "start one"
_RESUME = "end the pause when its reason is gone"
_SAME = "start workers with the same settings"


class Workers(Enum):
    """What the workers that live would do with a task's next job."""

    #: All workers of its queue run it.
    RUN = "run"
    #: Some workers of its queue run it; the others leave its message to them.
    SOME_RUN = "some_run"
    #: No worker takes its queue.
    NONE = "none"
    #: Workers take its queue, but none has the task.
    NO_TASK = "no_task"
    #: Workers take its queue and have the task, but only in other versions.
    OTHER_VERSION = "other_version"
    #: A pause holds its jobs back, whichever workers there are.
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Whether workers listen for the jobs of one task."""

    workers: Workers
    task: str
    #: The queue of its messages; None where the broker's exchange chooses it.
    queue: str | None
    #: The version that is asked for, and its model.
    version: str
    model: str = ""
    #: How many workers run it, and how many jobs at once.
    count: int = 0
    slots: int = 0
    #: Other versions that workers of its queue have, each with its model.
    others: tuple[tuple[str, str], ...] = ()
    #: The note of the pause that holds its jobs back.
    paused: str | None = None
    #: Who has that version.
    whose: str = "this producer"

    @property
    def ok(self) -> bool:
        """Whether a worker runs the next job."""
        return self.workers in (Workers.RUN, Workers.SOME_RUN)

    @property
    def text(self) -> str:
        """The same in one sentence."""
        where = f"queue {self.queue}" if self.queue else "the queues"
        match self.workers:
            case Workers.RUN:
                return f"{self.task} is run by {_counted(self.count)} of {where}"
            case Workers.SOME_RUN:
                others = f"have version {_joined(self.others)}" if self.others else "do not have it"
                return f"{self.task} is run by {_counted(self.count)} of {where}; the others {others}"
            case Workers.NONE:
                takes = f"takes {where}" if self.queue else "is running"
                return f"no worker {takes}: jobs wait until one does"
            case Workers.NO_TASK:
                return f"no worker of {where} has the task {self.task}: jobs wait until one does"
            case Workers.OTHER_VERSION:
                theirs, ours = _joined(self.others), _named(self.version, self.model)
                have = f"the workers of {where} have version {theirs} of {self.task}"
                return f"{have}, {self.whose} has {ours}"
            case Workers.PAUSED:
                return f"{self.task} is paused: {self.paused}"
        assert_never(self.workers)

    def finding(self) -> Finding:
        """Return the same as one line of a check."""
        match self.workers:
            case Workers.RUN:
                return Finding(severity="ok", subject="workers", name=self.workers.value, text=self.text)
            case Workers.NONE:
                cure = _START
            case Workers.SOME_RUN | Workers.NO_TASK | Workers.OTHER_VERSION:
                cure = _SAME
            case Workers.PAUSED:
                cure = _RESUME
            case _:
                assert_never(self.workers)
        name = self.workers.value
        return Finding(severity="warning", subject="workers", name=name, text=self.text, cure=cure)


def listening(
    spec: JobSpec,
    queue: str | None,
    workers: Iterable[Announcement],
    pauses: Mapping[Pause, str] = MappingProxyType({}),
    *,
    tenant: str = "",
    run: str = "",
) -> Listening:
    """Decide for *spec*, whose messages go to *queue*, which of the living *workers* would run its next job.

    Of the *pauses* that hold, those of a tenant or of a run count where that of the job is known. A worker
    that could not announce all its tasks and queues counts as one that runs it.
    """
    there = [each for each in workers if queue is None or queue in each.queues or not each.whole]
    able = [each for each in there if _runs(spec, each)]
    others = {
        (each.tasks[spec.name], each.models.get(spec.name, ""))
        for each in there
        if spec.name in each.tasks and not _runs(spec, each)
    }
    paused = note_of_job(pauses, queue=queue or "", task=spec.name, tenant=tenant, run=run, model=spec.model)
    judged = _judge(there, able, known=bool(others))
    return Listening(
        workers=judged if paused is None else Workers.PAUSED,
        task=spec.name,
        queue=queue,
        version=spec.version,
        model=spec.model,
        count=len(able),
        slots=sum(each.slots for each in able),
        others=tuple(sorted(others)),
        paused=paused,
    )


def check_workers(
    specs: Iterable[JobSpec],
    queue_of: Callable[[str], str | None],
    workers: Sequence[Announcement],
    pauses: Mapping[Pause, str] = MappingProxyType({}),
) -> list[Finding]:
    """Return which of *specs* have no worker or are paused, or one line if all are run."""
    heard = [listening(spec, queue_of(spec.name), workers, pauses) for spec in specs]
    wrong = [each.finding() for each in heard if each.workers is not Workers.RUN]
    if wrong:
        return list(dict.fromkeys(wrong))
    slots = sum(each.slots for each in workers)
    text = f"{_counted(len(workers))} with {slots} slots; every task of this producer has one"
    return [Finding(severity="ok", subject="workers", name=Workers.RUN.value, text=text)]


def check_pauses(store: Store) -> list[Finding]:
    """Return each pause that holds, or one line if there is none.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    pauses = store.controls.pauses()
    if not pauses:
        return [Finding(severity="ok", subject="pauses", name="none", text="none")]
    return [
        Finding(
            severity="warning",
            subject="pauses",
            name=pause.scope,
            text=f"{' '.join(filter(None, pause))} is paused: {one_line(note)}",
            cure=_RESUME,
        )
        for pause, note in sorted(pauses.items())
    ]


def _runs(spec: JobSpec, worker: Announcement) -> bool:
    version = worker.tasks.get(spec.name)
    return version == spec.version or (version is None and not worker.whole)


def _judge(there: Sequence[object], able: Sequence[object], *, known: bool) -> Workers:
    if not there:
        return Workers.NONE
    if not able:
        return Workers.OTHER_VERSION if known else Workers.NO_TASK
    return Workers.RUN if len(able) == len(there) else Workers.SOME_RUN


def _counted(workers: int) -> str:
    return f"{workers} worker{'s' * (workers != 1)}"


def _joined(versions: Iterable[tuple[str, str]]) -> str:
    return ", ".join(_named(version, model) for version, model in versions)


def _named(version: str, model: str) -> str:
    return f"{version} (model {model})" if model else version
