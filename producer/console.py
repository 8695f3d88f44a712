"""What all commands share: exit codes, the way to the servers, and errors in one line."""

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
    #: Broker or store do not answer.
    UNAVAILABLE = 69
    #: An answer did not come in time; the job goes on.
    TIMED_OUT = 75
    CONFIG = 78


def open_client(task: str | None = None) -> Client:
    """Return the way to the servers; ends with a usage error for a *task* that there is not."""
    from producer.client import connect
    from settings.environment import load_or_exit

    client = connect(load_or_exit())
    if task is not None and task not in client.specs:
        raise click.UsageError(f"unknown task {task!r}; there are: {', '.join(sorted(client.specs))}")
    return client


@contextmanager
def unavailable() -> Iterator[None]:
    """End the command with one line and its code when a server or a job says no."""
    from askonce.errors import JobError, SendFailed, StoreUnavailable

    try:
        yield
    except (StoreUnavailable, SendFailed) as exc:
        click.echo(str(exc), err=True)
        sys.exit(Exit.UNAVAILABLE)
    except JobError as exc:
        click.echo(str(exc), err=True)
        sys.exit(Exit.FAILED)
