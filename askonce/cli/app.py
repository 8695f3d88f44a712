"""What the verbs work on, for any Celery app that has an AskOnce."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from askonce.adapters.celery.app import of
from askonce.adapters.celery.checks import check_broker
from askonce.adapters.celery.dead_messages import send_again
from askonce.adapters.celery.queues import open_queues
from askonce.adapters.celery.slot_task import firing_of
from askonce.checks import Finding
from askonce.cli.examined import examine_work
from askonce.cli.exits import Exit
from askonce.cli.printed import echo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from askonce.adapters.celery.app import AskOnce
    from askonce.job import Job
    from askonce.letters import DeadMessage
    from askonce.outcomes import Outcome
    from askonce.queues import Queues
    from askonce.schedule.firing import Firing
    from askonce.spec import JobSpec

#: What a URL that cannot be used raises, and a transport or a store that is not installed.
_UNUSABLE = (ImportError, LookupError, ValueError)


class AppSite:
    """The store and the tasks of one Celery app."""

    def __init__(self, once: AskOnce) -> None:
        """Use what *once* connects to; a command line connects at its first command."""
        self._once, self.store = once, once.process().store

    @cached_property
    def specs(self) -> Mapping[str, JobSpec]:
        """The terms of the app's idempotent tasks, by their names."""
        return self._once.specs

    def enqueue(self, task: str, payload: Mapping[str, object], **options: object) -> Outcome:
        """Enqueue *payload* for *task*; options and errors as ``Producer.enqueue``."""
        return self._once.enqueue(task, payload, **options)

    def identify(self, task: str, payload: Mapping[str, object], tenant: str = "") -> Job:
        """Return the job that *task* makes of *payload*, as ``AskOnce.identify``."""
        return self._once.identify(task, payload, tenant)

    def cure_of(self, reason: str, *, kind: str = "", key: str = "ID") -> str:
        """Return what a person can do about a failure, as ``AskOnce.cure_of``: the app's own words."""
        return self._once.cure_of(reason, kind=kind, key=key)

    def firing(self) -> Firing:
        """Return what fires the slots of the app's schedule."""
        return firing_of(self._once)

    def queues(self) -> AbstractContextManager[Queues]:
        """Lend the queues of the app's broker."""
        return open_queues(self._once.app)

    def send_again(self, message: DeadMessage) -> str | None:
        """Send *message* to its queue again; return why it was not sent, None where it was."""
        once = self._once
        return send_again(message, app=once.app, sender=once.sender, store=self.store)


def open_app(app: Any) -> AppSite:  # noqa: ANN401  # Celery's
    """Return the site of *app*; end the command with a line for each thing that cannot be used."""
    once = once_of(app)
    try:
        return AppSite(once)
    except _UNUSABLE as error:
        for found in _unusable(once, error):
            echo(str(found), err=True)
        sys.exit(Exit.CONFIG)


def examine_app(app: Any, call: bool) -> list[Finding]:  # noqa: ANN401, FBT001  # Celery's; Mount's form
    """Return what a worker of *app* checks at its start, and what concerns its work now."""
    if call:
        raise click.UsageError("--call: askonce does not know which calls the bodies of this app make")
    once = once_of(app)
    try:
        site = AppSite(once)
    except _UNUSABLE as error:
        return _unusable(once, error)
    work = examine_work(site.specs.values(), site.store, once.sender.queue_of, site.cure_of)
    return [*once.examine(), *work]


def once_of(app: Any) -> AskOnce:  # noqa: ANN401  # Celery's
    """Return the AskOnce of *app*, whose tasks are all loaded; end the command where there is none."""
    # What ``include``, ``imports`` and autodiscovery name, as for a worker.
    app.loader.import_default_modules()
    try:
        return of(app)
    except RuntimeError as error:
        echo(f"{error}; celery -A names the app", err=True)
        sys.exit(Exit.CONFIG)


def _unusable(once: AskOnce, error: Exception) -> list[Finding]:
    """Return why what *once* stands on cannot be opened; no text of *error*, which may hold a password."""
    found = [each for each in check_broker(once.app) if each.severity == "error"]
    text = f"cannot be opened ({type(error).__name__})"
    cure = "correct what the store of AskOnce returns"
    return found or [Finding(severity="error", subject="store", name="unusable", text=text, cure=cure)]
