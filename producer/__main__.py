"""The command line: ``python -m producer``. Results go to stdout, words for people to stderr."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, BinaryIO

import click

from producer.commands.dead import dead
from producer.console import Exit, open_client, unavailable

if TYPE_CHECKING:
    from producer.batch import Report


@click.group(
    epilog="Exit codes: 0 ok, 1 some rows failed, 2 usage, 69 unavailable, 75 timed out, 78 configuration."
)
def cli() -> None:
    """Ask for jobs and read their answers."""


cli.add_command(dead)


@cli.command()
@click.argument("task")
@click.argument("file", type=click.File("rb"))
@click.option("--wait", is_flag=True, help="Wait for the answers and print them.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=600.0, show_default=True, help="Seconds to wait."
)
@click.option("--tenant", default="", help="Whose jobs these are: part of the key.")
@click.option("--on-duplicate", type=click.Choice(["attach", "reject"]), default="attach", show_default=True)
@click.option("--force", is_flag=True, help="Ask anew although an answer is fresh.")
@click.option("--max-age", type=click.FloatRange(min=0), help="Ask anew when the answer is older; seconds.")
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
    from producer.batch import Batch
    from producer.rows import read_rows

    options = {"tenant": tenant, "on_duplicate": on_duplicate, "force": force, "max_age": max_age}
    batch = Batch(client=client, task=task, wait=timeout if wait else None, options=options)
    tally = _Tally(file.name, as_json=as_json)
    with unavailable():
        try:
            for report in batch.run(read_rows(file)):
                tally.add(report)
        finally:
            tally.print_sum()
    sys.exit(tally.exit_code())


@cli.command()
@click.argument("key")
def result(key: str) -> None:
    """Print the answer kept under KEY as JSON."""
    _require_key(key)
    from askonce.answer import to_result
    from askonce.record import Status

    with unavailable():
        record = open_client().store.read([key])[0]
    if record.value is None:
        click.echo(f"{key}: no answer, the job is {record.status.value}", err=True)
        sys.exit(Exit.TIMED_OUT if record.status in (Status.QUEUED, Status.RUNNING) else Exit.FAILED)
    answer = to_result(key, record.job, record.value, "cache" if record.value.fresh else "stale")
    click.echo(json.dumps(asdict(answer), ensure_ascii=False))


@cli.command()
@click.argument("task")
@click.argument("what", metavar="FILE-OR-JSON")
@click.option("--tenant", default="", help="Whose jobs these are: part of the key.")
def explain(task: str, what: str, tenant: str) -> None:
    """Say, for each payload, what its key is made of, who has the job, and whether a call would be made."""
    client = open_client(task)
    from producer.explain import explain_row, rows_of

    failed = False
    with unavailable():
        for row in rows_of(what):
            told = explain_row(client, task, row, tenant)
            failed |= "error" in told
            click.echo(json.dumps(told, ensure_ascii=False))
    sys.exit(Exit.FAILED if failed else Exit.OK)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each finding on stdout.")
def doctor(*, as_json: bool) -> None:
    """Check servers, settings and the order of times; a worker checks the same at its start."""
    from askonce.checks import joined
    from producer.doctor import examine
    from settings.environment import load_or_exit

    findings = examine(load_or_exit())
    for found in findings if as_json else joined(findings):
        click.echo(json.dumps(asdict(found), ensure_ascii=False) if as_json else str(found))
    sys.exit(Exit.CONFIG if any(found.severity == "error" for found in findings) else Exit.OK)


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
            told = " ".join(str(v) for v in report.error.values() if v not in ("", None))
            click.echo(f"{self._name}:{report.row}: {told}", err=True)

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


def _require_key(key: str) -> None:
    if len(key) != 64 or not set(key) <= set("0123456789abcdef"):  # noqa: PLR2004  # hex of SHA-256
        raise click.UsageError("KEY must be 64 hexadecimal digits")


if __name__ == "__main__":
    cli(prog_name="python -m producer")
