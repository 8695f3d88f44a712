"""How a command ends: its exit codes, and errors in one line."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator


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


EPILOG = "Exit codes: 0 ok, 1 some rows failed, 2 usage, 69 unavailable, 75 timed out, 78 configuration."


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
