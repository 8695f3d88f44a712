"""``jobs``: lists jobs, shows how one of them stands and why, and acts on many of them."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from askonce.cli import acts
from askonce.cli.choosing import WHAT, choosing, doubt_task, named, wanted
from askonce.cli.exits import Exit, unavailable
from askonce.cli.printed import echo, to_json
from askonce.cli.site import open_site
from askonce.cli.working import working

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.cli.listed import Listed

#: Jobs that a list shows without --all.
PAGE = 100
#: Digits of a key in a table: enough to find a job in flight.
_DIGITS = 16
#: What is kept of a time, such as ``2026-11-27T16:40:00+00:00``, and characters of a note.
_DAY_AND_MINUTE, _ABOUT = slice(5, 16), 60
_STATES = ("running", "queued", "parked", "paused", "dead", "done", "stale", "failed", "ended")


@click.group()
def jobs() -> None:
    """List jobs; show why one waits or how it ended; replay, cancel or invalidate some."""


for _act in (acts.replay, acts.cancel, acts.invalidate):
    jobs.add_command(_act)


@jobs.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="May be repeated.")
@choosing
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
@click.option("--scan", is_flag=True, help="Look at every record: also at jobs that are over.")
@click.option("--all", "everything", is_flag=True, help=f"All of them, not only {PAGE}.")
def list_(*, states: tuple[str, ...], scan: bool, everything: bool, as_json: bool, **chosen: Any) -> None:  # noqa: ANN401  # click's
    """List the jobs in flight and the dead ones; with --scan also those that are over."""
    from askonce.cli.listed import all_keys, each_once, indexed_keys, jobs_of
    from askonce.cli.standing import INDEXED

    means = wanted(states, chosen)
    if not scan and (over := means.states - INDEXED):
        raise click.UsageError(f"--state {min(over)}: these are in no index; --scan looks at every record")
    with unavailable():
        site = open_site()
        store = site.store
        keys = all_keys(store) if scan else indexed_keys(store, means)
        with working("looked at", keys.total, prints=everything) as report:
            fitting = each_once(job for job in jobs_of(store, keys, report) if means.fits(job))
            shown = _show_pages(
                fitting, everything=everything, as_json=as_json, digits=64 if scan else _DIGITS
            )
            more = next(fitting, None) is not None
    if not shown:
        doubt_task(site, means.task)
    among = f" of {keys.total:,} in flight or dead" if more and keys.total else ""
    echo(f"{shown:,} shown{among}{', there are more: --all shows them' if more else ''}", err=True)


@jobs.command(epilog="Of a TASK, all key fields name a job; fewer are looked for in the payloads.")
@click.argument("what", nargs=-1, required=True, metavar=WHAT)
@click.option("--tenant", default="", help="The tenant of a TASK's job: part of the key.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
def show(what: tuple[str, ...], *, tenant: str, as_json: bool) -> None:
    """Show how a job stands: why it waits, where it runs, or how it ended.

    KEY may be the first digits of a job in flight or dead.
    """
    from askonce.cli.listed import Listed
    from askonce.cli.standing import State, stands

    failed, shown = False, False
    with unavailable():
        site = open_site()
        for each in named(site, what, tenant):
            if each.missing:
                echo(f"{each.what}: {each.missing}", err=True)
                failed = True
            for key, record in zip(each.keys, site.store.flights.show(each.keys), strict=True):
                job = Listed(key, record)
                detailed = job.detailed(stands(site, key, record))
                if shown and not as_json:
                    echo("")
                for line in [to_json(detailed)] if as_json else _told(detailed):
                    echo(line)
                shown = True
                failed |= job.state is State.ABSENT
    sys.exit(Exit.FAILED if failed else Exit.OK)


def _show_pages(jobs: Iterator[Listed], *, everything: bool, as_json: bool, digits: int) -> int:
    """Print one page of *jobs*, or all pages; each with the oldest job first. Return how many they are."""
    shown = 0
    while page := sorted(islice(jobs, PAGE), key=_age):
        for line in (
            [to_json(job.shown()) for job in page] if as_json else _lines(page, digits, head=not shown)
        ):
            echo(line)
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
    rows, room = [heads, *(_cells(job, digits) for job in page)], room_of_stdout()
    lines = Table(rows, names=2, left=len(heads)).fitted(room)[0]
    # A person scrolls; a program reads one head, which is one line where nothing has to fit.
    return lines if head or room is not None else lines[1:]


def _cells(job: Listed, digits: int) -> list[str]:
    from askonce.line import one_line

    shown = job.shown()
    since = str(shown["since"] or "")[_DAY_AND_MINUTE].replace("T", " ")
    record, about = job.record, job.about[:_ABOUT]
    cells = job.key[:digits], record.task, job.state, since, record.tenant, record.run, record.attempts, about
    # Names come from callers.
    return [one_line(str(cell)) for cell in cells]


def _told(shown: dict[str, object]) -> list[str]:
    """Return one job in lines for people, without what is empty."""
    known = {what: value for what, value in shown.items() if value not in (None, "", 0, False, {})}
    width = max(map(len, known))
    return [f"{what.ljust(width)}  {value}" for what, value in known.items()]
