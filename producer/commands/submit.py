"""``python -m producer submit``: enqueues the rows of files, and writes their answers on request."""

from __future__ import annotations

import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from askonce.cli.exits import Exit, discard_stdout, is_terminal
from askonce.cli.site import FILE, require_text
from producer.input_options import OF_INPUTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from producer.progress.reporter import Progress
    from producer.run.wanted import Wanted

_EPILOG = (
    "Exit codes: 0 ok, 1 some rows failed, 2 usage or input, 3 stopped by a limit, 69 unavailable, 74 output,"
    " 75 timed out or taken, 78 configuration, 130 interrupted, 141 stdout closed, 143 terminated."
)


class _Dollars(click.ParamType[Decimal]):
    """An amount of US dollars, exact."""

    name = "usd"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Return *value* as a number."""
        try:
            amount = Decimal(str(value).removeprefix("$"))
        except InvalidOperation:
            amount = Decimal("nan")
        if not amount.is_finite() or amount < 0:
            self.fail(f"{value!r} is no amount of dollars", param, ctx)
        return amount


class _Failures(click.ParamType[object]):
    """A number of rows, or a share of them."""

    name = "n|p%"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return *value* as a limit."""
        from producer.run.limits import MaxFailures

        try:
            return value if isinstance(value, MaxFailures) else MaxFailures.parse(str(value))
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


class _Output(click.ParamType[Path]):
    """The name of a file, or of stdout."""

    name = "path"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return *value* as a path, which no longer shows that a folder was meant."""
        if str(value).endswith("/"):
            self.fail(f"{value!r} is a folder: name a file in it", param, ctx)
        return Path(str(value))


_COUNT = click.IntRange(min=1)
_OF_CHOICE = (
    click.option("--limit", type=_COUNT, help="The first N rows only."),
    click.option("--sample", type=_COUNT, help="N rows drawn at random, the same ones each time."),
)
_OF_ROWS = (
    click.option("--wait", is_flag=True, help="Wait for the answers and print them."),
    click.option(
        "--timeout", type=click.FloatRange(min=0), help="Seconds to wait for a row; 600 without --out FILE."
    ),
    click.option("--tenant", default="", help="The tenant of these jobs: part of the key."),
    click.option("--queue", default="", help="The queue of these jobs; without it the task's own."),
    click.option(
        "--on-duplicate", type=click.Choice(["attach", "reject"]), default="attach", show_default=True
    ),
    click.option(
        "--max-age", type=click.FloatRange(min=0), help="Make a new call for an older answer; seconds."
    ),
    click.option("--refresh", is_flag=True, help="Make each answer anew, once."),
    click.option("--retry-failed", is_flag=True, help="Ask again for rows that failed."),
    click.option("--strict", is_flag=True, help="Count a fallback as a failure."),
)
_OF_RUN = (
    click.option("--run", metavar="NAME", help="The run's name; made of task, inputs and --out by default."),
    click.option(
        "--max-queued", type=click.IntRange(min=0), help="Rows ahead of the workers; 0 is no bound."
    ),
    click.option(
        "--max-failures", type=_Failures(), help="Stop when more rows fail; 5% after 100 by default."
    ),
)
_OF_BILL = (
    click.option("--dry-run", is_flag=True, help="Say what would be called and cost; call nothing."),
    click.option("--pilot", type=_COUNT, help="Call N rows, show what the others will cost, and ask."),
    click.option("--max-cost", type=_Dollars(), help="Dollars; no call is made that could pass them."),
    click.option("--max-calls", type=_COUNT, help="Paid calls; none is made that could pass them."),
    click.option(
        "--confirm-above",
        type=_Dollars(),
        help="On a terminal, show the estimate and ask where it is above; 10 by default.",
    ),
    click.option("-y", "--yes", is_flag=True, help="Go on without a question."),
)
_OF_OUTPUT = (
    click.option("-o", "--out", type=_Output(), help="A .jsonl or .csv file, - for stdout; waits."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object for each row on stdout."),
    click.option(
        "--progress",
        "shown",
        type=click.Choice(["auto", "terminal", "text", "json", "none"]),
        default="auto",
        show_default=True,
    ),
    click.option("-q", "--quiet", is_flag=True, help="Only errors on stderr."),
)


def _with(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def add(command: Any) -> Any:  # noqa: ANN401  # click's
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.command(epilog=_EPILOG)
@click.argument("task")
@click.argument("inputs", nargs=-1, required=True, type=FILE, metavar="INPUT...")
@_with(*OF_INPUTS, *_OF_CHOICE, *_OF_ROWS, *_OF_RUN, *_OF_BILL, *_OF_OUTPUT)
def submit(**words: Any) -> None:  # noqa: ANN401  # the fields of Wanted
    """Submit the rows of each INPUT to TASK.

    An INPUT is a file of JSON lines, a JSON array or a CSV, also with gzip, a folder of transcripts, a
    glob, or - for stdin.
    """
    from producer.run.wanted import Wanted, WantedImpossible

    require_text()
    wanted = Wanted(**words)
    try:
        wanted.require_possible()
    except WantedImpossible as exc:
        raise click.UsageError(str(exc)) from None
    sys.exit(_submit(wanted))


def _submit(wanted: Wanted) -> Exit:
    """Start the run, and say in one line of the display why it cannot begin or go on."""
    from producer.progress.reporter import new_progress

    shows_events = bool(click.get_current_context().find_root().params.get("verbose"))
    shared = shows_events or (is_terminal(sys.stdout) and wanted.writes_to_stdout)
    with new_progress(sys.stderr, shown=wanted.shown, quiet=wanted.quiet, shared=shared) as progress:
        progress.start(wanted.task, wanted.inputs)
        try:
            why, code = _end_of(wanted, progress)
        except (KeyboardInterrupt, click.Abort):
            if is_terminal(sys.stderr):
                # The command line says so, behind the ^C.
                raise
            why, code = "interrupted", Exit.INTERRUPTED
        if why:
            progress.error(why)
        return code


def _end_of(wanted: Wanted, progress: Progress) -> tuple[str, Exit]:  # noqa: C901  # one arm for each end
    """Return how the run ended, and before that why it could not begin or go on; empty where it could."""
    # The first line is out: what follows loads Celery.
    from askonce.errors import JobError, SendFailed, StoreUnavailable
    from producer.inputs import InputInvalid
    from producer.run.billed import Billed
    from producer.run.errors import (
        JournalInvalid,
        LimitImpossible,
        OutputFailed,
        OutputUnusable,
        RunDiffers,
        RunTaken,
    )
    from settings.environment import SettingsInvalid, load

    try:
        load()
        return "", Billed(wanted, progress).go()
    except SettingsInvalid as exc:
        return f"bad configuration: {exc}", Exit.CONFIG
    except click.UsageError as exc:
        return exc.message, Exit.USAGE
    except (InputInvalid, OutputUnusable, RunDiffers, JournalInvalid, LimitImpossible) as exc:
        return str(exc), Exit.USAGE
    except OutputFailed as exc:
        if wanted.file is None:
            discard_stdout()
        return str(exc), Exit.OUTPUT
    except RunTaken as exc:
        return str(exc), Exit.TIMED_OUT
    except (StoreUnavailable, SendFailed) as exc:
        return str(exc), Exit.UNAVAILABLE
    except JobError as exc:
        return str(exc), Exit.FAILED
