"""What all commands share: exit codes, the client, and errors in one line."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer.client import Client


class Exit(IntEnum):
    """Exit codes; the three high ones are BSD's."""

    OK = 0
    #: Some rows failed, or there is no answer.
    FAILED = 1
    USAGE = 2
    #: Broker or store does not answer.
    UNAVAILABLE = 69
    #: An answer did not come in time; the job goes on.
    TIMED_OUT = 75
    CONFIG = 78


def show_events(context: click.Context) -> None:
    """Show each event of the command under *context* on stderr."""
    import logging

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("askonce").setLevel(logging.INFO)
    context.obj = "events are shown"


def open_client(task: str | None = None) -> Client:
    """Return a client of the configured servers; end with a usage error for an unknown *task*."""
    from askonce.events import ignore
    from askonce.log import log_event
    from producer.client import connect
    from settings.environment import load_or_exit

    shown = click.get_current_context().obj is not None
    client = connect(load_or_exit(), listen=log_event if shown else ignore)
    if task is not None and task not in client.specs:
        raise click.UsageError(f"unknown task {task!r}; there are: {', '.join(sorted(client.specs))}")
    return client


def warn_of_workers(client: Client, task: str) -> None:
    """Write one line to stderr if no living worker runs the jobs of *task*; they wait then."""
    from askonce.errors import StoreUnavailable

    try:
        heard = client.listening(task)
    except StoreUnavailable:
        # Whether the job itself is in the store is what counts; the command reports that.
        return
    if not heard.ok:
        click.echo(str(heard.finding()), err=True)


@contextmanager
def unavailable() -> Iterator[None]:
    """End the command with one line and its exit code when a server does not answer or a job failed."""
    from askonce.errors import JobError, SendFailed, StoreUnavailable

    try:
        yield
    except (StoreUnavailable, SendFailed) as exc:
        click.echo(str(exc), err=True)
        sys.exit(Exit.UNAVAILABLE)
    except JobError as exc:
        click.echo(str(exc), err=True)
        sys.exit(Exit.FAILED)
