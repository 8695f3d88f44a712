"""What the verbs work on: the store and the tasks of one application, and how they are opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from askonce.checks import Finding
    from askonce.job import Job
    from askonce.letters import DeadMessage
    from askonce.outcomes import Outcome
    from askonce.queues import Queues
    from askonce.rows import BadRow, Row
    from askonce.schedule.firing import Firing
    from askonce.spec import JobSpec
    from askonce.store import Store

_MOUNT = "askonce.cli.mount"
#: A word that may be the name of a file, whose bytes need not be UTF-8. Whoever reads it says what is wrong.
FILE = click.Path(readable=False)


class Site(Protocol):
    """One application with askonce, as the verbs see it."""

    @property
    def specs(self) -> Mapping[str, JobSpec]:
        """The terms of each task, by its name."""

    @property
    def store(self) -> Store:
        """Where the records are."""

    def enqueue(self, task: str, payload: Mapping[str, object], **options: object) -> Outcome:
        """Enqueue *payload* for *task*; options and errors as ``Producer.enqueue``."""

    def identify(self, task: str, payload: Mapping[str, object], tenant: str = "") -> Job:
        """Return the job that ``enqueue`` would make of *payload*.

        The terms of *task* alone do not tell: its application may fill in what a row leaves out.

        Raises:
            PayloadInvalid: the task would refuse it; names the field.
        """

    def cure_of(self, reason: str, *, kind: str = "", key: str = "ID") -> str:
        """Return what a person can do about a failure, in one line; empty where nothing is known.

        The *kind* of a failure that was given up adds how the job with this *key* is made again.
        """

    def firing(self) -> Firing:
        """Return what fires the slots of the application's schedule."""

    def queues(self) -> AbstractContextManager[Queues]:
        """Lend the queues of the application's broker."""

    def send_again(self, message: DeadMessage) -> str | None:
        """Send *message* to its queue again; return why it was not sent, None where it was."""


class Mount(NamedTuple):
    """How one command line opens its application."""

    open: Callable[[], Site]
    #: Returns what the doctor shows, whatever server is down; True also calls the paid service.
    examine: Callable[[bool], list[Finding]]
    #: Yields the rows of a task that a name stands for; None reads files with JSON lines.
    read: Callable[[str, JobSpec], Iterator[Row | BadRow]] | None = None


def mount(context: click.Context, by: Mount) -> None:
    """Let every verb under *context* open its application *by* this mount."""
    # Not its ``obj``: that is Celery's where Celery's command line is around.
    context.meta[_MOUNT] = by


def mounted() -> Mount:
    """Return the mount of the command that runs."""
    found = click.get_current_context().meta[_MOUNT]
    assert isinstance(found, Mount)
    return found


def open_site(task: str | None = None) -> Site:
    """Return the application of the command that runs.

    End it with a usage error for a word that is not UTF-8, or for an unknown *task*.
    """
    require_text()
    site = mounted().open()
    if task is not None:
        require_task(task, site.specs)
    return site


def require_text() -> None:
    """End the command that runs with a usage error where it has a word that is not UTF-8.

    A shell passes on any bytes, as a file may be called so. What jobs have is text.
    """
    context = click.get_current_context()
    for param in context.command.params:
        if isinstance(param.type, click.Path):
            continue
        value = context.params.get(param.name or "")
        for word in value if isinstance(value, tuple) else (value,):
            if isinstance(word, str) and not _is_text(word):
                raise click.BadParameter(f"{word!a} is not UTF-8", context, param)


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def has_records(task: str, specs: Mapping[str, JobSpec]) -> bool:
    """Return whether records may be of *task*: one of *specs*, or a cached function, which has none."""
    from askonce.job import is_function

    return task in specs or is_function(task)


def require_records(task: str, specs: Mapping[str, JobSpec]) -> None:
    """End the command with a usage error where no record may be of *task*."""
    if not has_records(task, specs):
        require_task(task, specs)


def require_task(task: str, specs: Mapping[str, JobSpec]) -> None:
    """End the command with a usage error where *specs* have no *task*, whose payloads it is about."""
    if task in specs:
        return
    if has_records(task, specs):
        raise click.UsageError(f"{task} is no task but a cached function's: KEY names one of its answers")
    raise click.UsageError(f"unknown task {task!r}; there are: {', '.join(sorted(specs)) or 'none'}")
