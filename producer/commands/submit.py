"""``python -m producer submit``: enqueues the rows of a file, and waits for their answers on request."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict
from functools import cache, partial
from typing import TYPE_CHECKING, BinaryIO

import click

from askonce.cli.exits import Exit, unavailable
from producer.console import open_client, warn_of_workers

if TYPE_CHECKING:
    from producer.batch import Report


@click.command()
@click.argument("task")
@click.argument("file", type=click.File("rb"))
@click.option("--wait", is_flag=True, help="Wait for the answers and print them.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=600.0, show_default=True, help="Seconds to wait."
)
@click.option("--tenant", default="", help="The tenant of these jobs: part of the key.")
@click.option("--on-duplicate", type=click.Choice(["attach", "reject"]), default="attach", show_default=True)
@click.option("--force", is_flag=True, help="Make a new call although an answer is fresh.")
@click.option("--max-age", type=click.FloatRange(min=0), help="Make a new call for an older answer; seconds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each row on stdout.")
def submit(  # noqa: PLR0913  # one parameter for each option of the command
    task: str,
    file: BinaryIO,
    *,
    wait: bool,
    timeout: float,
    tenant: str,
    on_duplicate: str,
    force: bool,
    max_age: float | None,
    as_json: bool,
) -> None:
    """Submit the rows of FILE (JSON lines, - for stdin) to TASK."""
    client = open_client(task)
    from askonce.rows import read_rows
    from producer.batch import Batch
    from producer.waiting import Waiting

    options = {"tenant": tenant, "on_duplicate": on_duplicate, "force": force, "max_age": max_age}
    warn_once = cache(lambda: warn_of_workers(client, task))
    wait_for = timeout if wait else None
    batch = Batch(client=client, task=task, wait=wait_for, options=options, on_job=warn_once)
    tally = _Tally(file.name, as_json=as_json)
    model, tell = client.specs[task].model, partial(click.echo, err=True)
    with unavailable(), Waiting(client.store.boards, model, tell) if wait else nullcontext():
        try:
            for report in batch.run(read_rows(file)):
                tally.add(report)
        finally:
            tally.print_sum()
    sys.exit(tally.exit_code())


class _Tally:
    """Prints reports as they come and adds them up."""

    def __init__(self, name: str, *, as_json: bool) -> None:
        self._name, self._as_json = name, as_json
        self._counts: dict[str, int] = {}
        self._failed = 0

    def add(self, report: Report) -> None:
        self._counts[report.status] = self._counts.get(report.status, 0) + 1
        self._failed += not report.ok
        if self._as_json:
            click.echo(json.dumps(asdict(report), ensure_ascii=False))
        elif report.result is not None:
            click.echo(json.dumps(report.result, ensure_ascii=False))
        if report.error is not None:
            from askonce.line import one_line

            # The names of fields are the row's own.
            click.echo(one_line(f"{self._name}:{report.row}: {_words(report)}"), err=True)

    def print_sum(self) -> None:
        if not self._counts:
            click.echo(f"{self._name}: empty: it has no rows", err=True)
            return
        parts = ", ".join(f"{count} {status}" for status, count in sorted(self._counts.items()))
        click.echo(f"{sum(self._counts.values())} rows: {parts}", err=True)

    def exit_code(self) -> Exit:
        if not self._counts:
            return Exit.USAGE
        if self._counts.get("unavailable"):
            return Exit.UNAVAILABLE
        if self._counts.get("timeout"):
            return Exit.TIMED_OUT
        return Exit.FAILED if self._failed else Exit.OK


def _words(report: Report) -> str:
    """Return why a row has no answer, and what a person can do about it."""
    from tasks.reasons import cure_of

    error = report.error or {}
    words = " ".join(str(value) for value in error.values() if value not in ("", None))
    cure = cure_of(str(error.get("reason", "")), kind=str(error.get("kind", "")), key=report.key or "ID")
    return f"{words}: {cure}" if cure else words
