"""``runs``: shows who runs which batch, and how far it is."""

from __future__ import annotations

import sys
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING

import click

from askonce.cli.exits import Exit, unavailable
from askonce.cli.printed import echo, to_json
from askonce.cli.site import open_site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.runs import RunRecord

#: Runs that a list shows without --all, and the facts of each, as ``submit`` names them.
PAGE = 100
_LISTED = ("done", "failed", "cost_usd", "calls")
#: What is kept of a time, such as ``2026-11-27T16:40:00+00:00``: a list is of some weeks.
_DAY_AND_MINUTE = slice(5, 16)


@click.group()
def runs() -> None:
    """List the runs of batches, or show one."""


@runs.command("list")
@click.option("--all", "everything", is_flag=True, help=f"All of them, not only the {PAGE} latest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
def list_(*, everything: bool, as_json: bool) -> None:
    """List runs, the last changed first."""
    with unavailable():
        found = open_site().store.runs.list()
    listed = list(islice(found, None if everything else PAGE))
    for line in [to_json(_shown(each)) for each in listed] if as_json else _lines(listed):
        echo(line)
    if len(found) > PAGE and not everything:
        echo(f"{PAGE} shown of {len(found)}: --all shows them", err=True)
    elif not found:
        echo("no run is known", err=True)


@runs.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def show(name: str, *, as_json: bool) -> None:
    """Show the run of this NAME: its producer, its counts and its cost."""
    from askonce.runs import named

    with unavailable():
        record = open_site().store.runs.get(name)
    if record is None:
        echo(f"{name}: no run has this name; runs list names them", err=True)
        sys.exit(Exit.FAILED)
    shown = _shown(record)
    if as_json:
        echo(to_json(shown))
        return
    facts = {what: _fact(what, value) for what, value in record.facts.items()}
    shown["holder"] = named(record.holder)
    known = {what: value for what, value in shown.items() if what not in ("facts", "alive") and value != ""}
    lines = {**known, **facts}
    width = max(map(len, lines))
    for what, value in lines.items():
        # Whoever may write to the store may write a record.
        echo(f"{what.ljust(width)}  {value}")


def _shown(record: RunRecord) -> dict[str, object]:
    from askonce.cli.moments import moment

    times = {"started": moment(record.started), "updated": moment(record.updated)}
    return {**asdict(record), **times, "state": _state(record)}


def _state(record: RunRecord) -> str:
    """Return the state as people mean it: nobody goes on with a run whose producer is gone."""
    return "left" if record.state == "running" and not record.alive else record.state


def _lines(records: Sequence[RunRecord]) -> list[str]:
    """Return a table of the runs; ``show`` has what else is known."""
    from askonce.cli.table import Table, room_of_stdout

    if not records:
        return []
    heads = ["run", "producer", "state", "updated_utc", "rows", *_LISTED]
    table = Table([heads, *map(_cells, records)], names=2, left=4, optional=1)
    return table.fitted(room_of_stdout())[0]


def _cells(record: RunRecord) -> list[str]:
    from askonce.cli.moments import moment
    from askonce.line import one_line
    from askonce.runs import named

    updated = moment(record.updated)[_DAY_AND_MINUTE].replace("T", " ")
    facts = {**record.facts, "rows": record.facts.get("total", record.facts.get("rows", ""))}
    cells = {what: _fact(what, facts[what]) if facts.get(what) else "" for what in ("rows", *_LISTED)}
    # Also those that earlier starts of the run have answered.
    done = [facts.get(what, 0) for what in ("done", "answered_before")]
    cells["done"] = str(sum(number for number in done if isinstance(number, int)))
    if facts.get("unpriced_calls"):
        # What is unknown is never 0.
        cells["cost_usd"] = f">={cells['cost_usd']}" if cells["cost_usd"] else "unknown"
    holder = named(record.holder) if record.alive else ""
    return [one_line(cell) for cell in (record.name, holder, _state(record), updated, *cells.values())]


def _fact(what: str, value: float | str) -> str:
    from askonce.log import digits_of

    return digits_of(value) if what.endswith("_usd") and not isinstance(value, str) else str(value)
