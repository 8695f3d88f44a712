"""How a command ends: its exit codes, and errors in one line."""

from __future__ import annotations

import codecs
import errno
import json
import os
import sys
from contextlib import contextmanager
from enum import IntEnum
from io import TextIOWrapper
from typing import TYPE_CHECKING

import click

from askonce.cli.printed import echo
from askonce.line import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


class Exit(IntEnum):
    """Exit codes; those from 69 to 78 are BSD's, those above 128 the shells'."""

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
    #: By Ctrl-C.
    INTERRUPTED = 130
    #: The program that reads stdout, such as ``head``, has closed it.
    STDOUT_CLOSED = 141
    #: By SIGTERM.
    TERMINATED = 143


EPILOG = (
    "Exit codes: 0 ok, 1 failed, 2 usage, 69 unavailable, 74 output, 75 timed out, 78 configuration,"
    " 130 interrupted, 141 stdout closed."
)
#: What a system says of a disk, or of a user's share of it, that takes no more.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Return characters that stdout's encoding does not have as JSON escapes them: it stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


_ESCAPED = "askonce.escaped"
codecs.register_error(_ESCAPED, _escape)


class CommandLine(click.Group):
    """A group of verbs that ends as shells expect it when a person or the reader of stdout has enough."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words before the verb; ``--help`` and ``--version`` write here."""
        with _as_shells_expect():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb of *ctx*; end with one line or none, never with a traceback."""
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors=_ESCAPED)
        with _as_shells_expect():
            return super().invoke(ctx)


@contextmanager
def _as_shells_expect() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        if is_terminal(sys.stderr):
            # Behind the ^C.
            echo("", err=True)
        echo("interrupted", err=True)
        sys.exit(Exit.INTERRUPTED)
    except click.ClickException as exc:
        # click quotes what was typed, which may be the name of a file.
        exc.message = one_line(exc.message)  # type: ignore[misc]  # final, but what click shows
        raise
    except BrokenPipeError:
        discard_stdout()
        sys.exit(Exit.STDOUT_CLOSED)
    except OSError as exc:
        if exc.errno not in _FULL:
            raise
        discard_stdout()
        echo(f"stdout cannot be written: {exc.strerror}", err=True)
        sys.exit(Exit.OUTPUT)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person is at *stream*; None is one that the caller's shell has closed."""
    return stream is not None and stream.isatty()


def discard_stdout() -> None:
    """Write to nowhere what is left for stdout, which takes no more: the end of the process flushes it."""
    if sys.stdout is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def unavailable() -> Iterator[None]:
    """End the command with one line and its exit code when a server does not answer or a job failed."""
    from askonce.errors import BrokerUnavailable, JobError, SendFailed, StoreUnavailable

    try:
        yield
    except (BrokerUnavailable, StoreUnavailable, SendFailed) as exc:
        echo(str(exc), err=True)
        sys.exit(Exit.UNAVAILABLE)
    except JobError as exc:
        echo(str(exc), err=True)
        sys.exit(Exit.FAILED)
