"""``runs``: shows who runs which batch, and how far it is."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING

import click

from askonce.cli.exits import Exit, unavailable
from askonce.cli.site import open_site

if TYPE_CHECKING:
    from askonce.runs import RunRecord

#: Runs that a list shows without --all, and the facts of each, as ``submit`` names them.
PAGE = 100
_LISTED = ("rows", "total", "done", "failed", "calls", "cost_usd")


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
    for record in islice(found, None if everything else PAGE):
        click.echo(json.dumps(_shown(record), ensure_ascii=False) if as_json else _line(record))
    if len(found) > PAGE and not everything:
        click.echo(f"{PAGE} shown of {len(found)}: --all shows them", err=True)
    elif not found:
        click.echo("no run is known", err=True)


@runs.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def show(name: str, *, as_json: bool) -> None:
    """Show the run of this NAME: its producer, its counts and its cost."""
    from askonce.line import one_line

    with unavailable():
        record = open_site().store.runs.get(name)
    if record is None:
        click.echo(f"{name}: no run has this name; runs list names them", err=True)
        sys.exit(Exit.FAILED)
    shown = _shown(record)
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    facts = {what: _fact(what, value) for what, value in record.facts.items()}
    known = {what: value for what, value in shown.items() if what not in ("facts", "alive") and value != ""}
    lines = {**known, **facts}
    width = max(map(len, lines))
    for what, value in lines.items():
        # Whoever may write to the store may write a record.
        click.echo(one_line(f"{what.ljust(width)}  {value}"))


def _shown(record: RunRecord) -> dict[str, object]:
    from askonce.cli.moments import moment

    times = {"started": moment(record.started), "updated": moment(record.updated)}
    return {**asdict(record), **times, "state": _state(record)}


def _state(record: RunRecord) -> str:
    """Return the state as people mean it: nobody goes on with a run whose producer is gone."""
    return "left" if record.state == "running" and not record.alive else record.state


def _line(record: RunRecord) -> str:
    from askonce.cli.moments import moment
    from askonce.line import one_line

    # ``show`` has the others: a terminal's line is short.
    facts = [f"{what}={_fact(what, record.facts[what])}" for what in _LISTED if record.facts.get(what)]
    holder = record.holder if record.alive else ""
    words = (moment(record.updated), _state(record), record.name, record.task, holder, " ".join(facts))
    return one_line("  ".join(filter(None, words)))


def _fact(what: str, value: float | str) -> str:
    from askonce.log import digits_of

    return digits_of(value) if what.endswith("_usd") and not isinstance(value, str) else str(value)
