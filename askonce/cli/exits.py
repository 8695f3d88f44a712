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
    #: Also an input that cannot be read.
    USAGE = 2
    #: A limit that the caller set: the same command goes on when it is raised.
    LIMIT = 3
    #: Broker or store does not answer.
    UNAVAILABLE = 69
    #: The output cannot be written.
    OUTPUT = 74
    #: An answer did not come in time, and the job goes on; or another process works on the run.
    TIMED_OUT = 75
    CONFIG = 78
    #: By Ctrl-C and by SIGTERM, as shells have it.
    INTERRUPTED = 130
    TERMINATED = 143


EPILOG = "Exit codes: 0 ok, 1 failed, 2 usage, 69 unavailable, 75 timed out, 78 configuration."


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
