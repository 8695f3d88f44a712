"""``jobs``: lists jobs, shows how one of them stands and why, and runs dead ones again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import click

from askonce.cli.exits import Exit, unavailable
from askonce.cli.since import SINCE
from askonce.cli.site import open_site, require_task
from askonce.cli.working import working

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from askonce.cli.listed import Listed, Wanted
    from askonce.cli.named import Named
    from askonce.cli.site import Site

#: Jobs that a list shows without --all.
PAGE = 100
#: Digits of a key in a table: enough to find a job in flight.
_DIGITS = 16
#: What is kept of a time, such as ``2026-11-27T16:40:00+00:00``, and characters of a note.
_DAY_AND_MINUTE, _ABOUT = slice(5, 16), 60
_STATES = ("running", "queued", "parked", "paused", "dead", "done", "stale", "failed", "ended")
_CommandT = TypeVar("_CommandT", bound=Callable[..., Any])


def _choosing(command: _CommandT) -> _CommandT:
    """Add the options that choose jobs."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout."),
        click.option("--since", type=SINCE, metavar="TIME|7d|24h|30m", help="In their state since then."),
        click.option("--reason", help="Parked, resting, failed or given up for this reason."),
        click.option("--run", help="Jobs that this run enqueued first."),
        click.option("--tenant", help="Jobs of this tenant."),
        click.option("--task", help="Jobs of this task."),
    ):
        command = option(command)
    return command


@click.group()
def jobs() -> None:
    """List jobs, show why one waits or how it ended, run dead ones again."""


@jobs.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="May be repeated.")
@_choosing
@click.option("--scan", is_flag=True, help="Look at every record: also at jobs that are over.")
@click.option("--all", "everything", is_flag=True, help=f"All of them, not only {PAGE}.")
def list_(*, states: tuple[str, ...], scan: bool, everything: bool, as_json: bool, **chosen: Any) -> None:  # noqa: ANN401  # click's
    """List the jobs in flight and the dead ones; with --scan also those that are over."""
    from askonce.cli.listed import all_keys, indexed_keys, jobs_of
    from askonce.cli.standing import INDEXED

    wanted = _wanted(states, chosen)
    if not scan and (over := wanted.states - INDEXED):
        raise click.UsageError(f"--state {min(over)}: these are in no index; --scan looks at every record")
    with unavailable():
        store = open_site().store
        keys = all_keys(store) if scan else indexed_keys(store, wanted.states)
        with working("looked at", keys.total) as report:
            fitting = (job for job in jobs_of(store, keys, report) if wanted.fits(job))
            shown = _show_pages(
                fitting, everything=everything, as_json=as_json, digits=64 if scan else _DIGITS
            )
            more = next(fitting, None) is not None
    among = f" of {keys.total:,} in flight or dead" if more and keys.total else ""
    click.echo(f"{shown:,} shown{among}{', there are more: --all shows them' if more else ''}", err=True)


@jobs.command(epilog="Of a TASK, all key fields name a job; fewer are looked for in the payloads.")
@click.argument("what", nargs=-1, required=True, metavar="KEY...|TASK FIELD=VALUE...")
@click.option("--tenant", default="", help="The tenant of a TASK's job: part of the key.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
def show(what: tuple[str, ...], *, tenant: str, as_json: bool) -> None:
    """Show how a job stands: why it waits, where it runs, or how it ended.

    KEY may be the first digits of a job in flight or dead.
    """
    from askonce.cli.listed import Listed
    from askonce.cli.standing import State, stands

    failed = False
    with unavailable():
        site = open_site()
        for named in _named(site, what, tenant):
            if named.missing:
                click.echo(f"{named.what}: {named.missing}", err=True)
                failed = True
            for key, record in zip(named.keys, site.store.flights.show(named.keys), strict=True):
                job = Listed(key, record)
                shown = job.detailed(stands(site, key, record))
                click.echo(json.dumps(shown, ensure_ascii=False) if as_json else _told(shown))
                failed |= job.state is State.ABSENT
    sys.exit(Exit.FAILED if failed else Exit.OK)


def _named(site: Site, what: Sequence[str], tenant: str) -> Iterable[Named]:
    """Return the jobs that the words of the command line name."""
    from askonce.cli.named import by_fields, by_keys

    if len(what) == 1 or "=" not in what[1]:
        return by_keys(site.store, what)
    from askonce.record import BUCKETS

    require_task(what[0], site.specs)
    with working("looked at buckets", BUCKETS) as report:
        return [by_fields(site, what[0], what[1:], tenant, report)]


def _wanted(states: Sequence[str], chosen: dict[str, Any]) -> Wanted:
    from askonce.cli.listed import Wanted
    from askonce.cli.standing import State

    return Wanted(frozenset(map(State, states)), **chosen)


def _show_pages(jobs: Iterator[Listed], *, everything: bool, as_json: bool, digits: int) -> int:
    """Print one page of *jobs*, or all pages; each with the oldest job first. Return how many they are."""
    shown = 0
    while page := sorted(islice(jobs, PAGE), key=_age):
        for line in (
            [json.dumps(job.shown()) for job in page] if as_json else _lines(page, digits, head=not shown)
        ):
            click.echo(line)
        shown += len(page)
        if not everything:
            break
    return shown


def _age(job: Listed) -> float:
    from askonce.cli.standing import since_of

    return since_of(job.record)


def _lines(page: Sequence[Listed], digits: int, *, head: bool) -> list[str]:
    from askonce.cli.table import Table, room_of_stdout

    heads = ["key", "task", "state", "since_utc", "tenant", "run", "attempts", "about"]
    rows = [heads, *(_cells(job, digits) for job in page)]
    return Table(rows, names=2, left=len(heads)).fitted(room_of_stdout())[0][0 if head else 1 :]


def _cells(job: Listed, digits: int) -> list[str]:
    from askonce.line import one_line

    shown = job.shown()
    since = str(shown["since"] or "")[_DAY_AND_MINUTE].replace("T", " ")
    record, about = job.record, job.about[:_ABOUT]
    cells = job.key[:digits], record.task, job.state, since, record.tenant, record.run, record.attempts, about
    # Names come from callers.
    return [one_line(str(cell)) for cell in cells]


def _told(shown: dict[str, object]) -> str:
    """Return one job in lines for people, without what is empty."""
    from askonce.line import one_line

    known = {what: value for what, value in shown.items() if value not in (None, "", 0, False, {})}
    width = max(map(len, known))
    return "\n".join(one_line(f"{what.ljust(width)}  {value}") for what, value in known.items())
