"""``cost``: shows what the calls cost, from the store's counters."""

from __future__ import annotations

import re
import time
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from askonce.cli.exits import unavailable
from askonce.cli.printed import echo, to_json
from askonce.cli.site import open_site

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from askonce.cli.ledger import By, Counted, Line
    from askonce.cli.table import Table
    from askonce.tally import Tally

_DAY = 86_400
_SPAN = re.compile(r"(\d{1,5})([dh])")
_SECONDS = {"d": _DAY, "h": 3600}
#: Digits of a dollar behind the point: amounts are whole millionths.
_PLACES = Decimal("0.000001")


class _Since(click.ParamType[int]):
    """A day, as a date or as a span before now."""

    name = "since"

    def convert(self, value: str, param: click.Parameter | None, context: click.Context | None) -> int:
        """Return the number of the day, counted from 1970 in UTC."""
        from datetime import date

        from askonce.tally import DAYS_KEPT

        now = time.time()
        today = int(now // _DAY)
        if span := _SPAN.fullmatch(value):
            day = int((now - int(span[1]) * _SECONDS[span[2]]) // _DAY)
        else:
            try:
                day = (date.fromisoformat(value) - date(1970, 1, 1)).days
            except ValueError:
                self.fail(f"{value!r} is neither a date (2026-11-27) nor a span (7d, 24h)", param, context)
        if not today - DAYS_KEPT <= day <= today:
            self.fail(f"{value!r} is not within the last {DAYS_KEPT} days, which are kept", param, context)
        return day


@click.command()
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(["task", "model", "tenant", "day"]),
    help="A line for each of these; may be repeated.  [default: task]",
)
@click.option(
    "--since",
    type=_Since(),
    metavar="DATE|7d|24h",
    help="Only from the start of this day (UTC) on.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each line on stdout.")
def cost(*, by: tuple[By, ...], since: int | None, as_json: bool) -> None:
    """Show calls and their cost, calls in doubt, and what hits avoided; the last line is the sum."""
    from askonce.cli.ledger import day_of, lines_of, total_of
    from askonce.cli.table import room_of_stdout

    chosen = tuple(dict.fromkeys(by)) or ("task",)
    with unavailable():
        lines = lines_of(_counted(open_site().store.tally, since, split="day" in chosen), chosen)
    total = total_of(lines)
    if as_json:
        for line in lines:
            echo(to_json(line.shown()))
        echo(to_json({"total": True, **total.shown()}))
        return
    if since is not None:
        echo(f"since {day_of(since)} 00:00 UTC", err=True)
    shown, left_out = _table(chosen, lines, total).fitted(room_of_stdout())
    for row in shown:
        echo(row)
    for note in _notes(total, left_out):
        echo(note, err=True)


def _counted(tally: Tally, since: int | None, *, split: bool) -> Iterable[Counted]:
    """Return the counters of each day; of all time, under no day, where days make no difference."""
    from askonce.tally import DAYS_KEPT

    if since is None and not split:
        return [(None, tally.totals())]
    today = int(time.time() // _DAY)
    # The server's clock may be ahead of this one.
    return tally.of_days(range(today - DAYS_KEPT if since is None else since, today + 2)).items()


def _table(by: Sequence[str], lines: Sequence[Line], total: Line) -> Table:
    """Return the table: names on the left, numbers on the right."""
    from askonce.cli.table import Table
    from askonce.line import one_line

    tokens = list(total.tokens)
    unpriced = not total.is_priced
    head = [*by, "calls", *["unpriced"] * unpriced, "cost_usd", "in_doubt", "hits", "avoided_usd", *tokens]
    rows = [head]
    for line in [*lines, total]:
        counted = line.counted
        # Names come from callers.
        names = [one_line(name) or "-" for name in line.of.values()] or ["total", *[""] * (len(by) - 1)]
        numbers = [counted["calls"], *[counted["unpriced"]] * unpriced]
        paid = _dollars(line.micro_usd, known=line.is_priced)
        avoided = _dollars(line.avoided_micro_usd, known=line.is_avoided_known)
        more = [paid, counted["in_doubt"], line.hits, avoided, *(line.tokens.get(t, 0) for t in tokens)]
        rows.append([*names, *map(str, [*numbers, *more])])
    return Table(rows, names=len(by), left=len(by), optional=len(tokens))


def _dollars(micro_usd: int, *, known: bool) -> str:
    """Return an amount with all its digits; one of which a part is unknown says so."""
    if not known and not micro_usd:
        return "unknown"
    amount = f"{(Decimal(micro_usd) * _PLACES):f}"
    return amount if known else f">={amount}"


def _notes(total: Line, left_out: Sequence[str]) -> list[str]:
    """Return what the numbers do not show by themselves."""
    words = {
        "unpriced": "calls without a known price: what was paid is at least the sum",
        "in_doubt": "calls in doubt: whether they were paid is unknown",
        "avoided_unknown": "hits on answers of unknown cost: what was avoided is at least the sum",
    }
    notes = [f"{text} ({total.counted[what]})" for what, text in words.items() if total.counted[what]]
    return [*notes, f"no room for {', '.join(left_out)}: --json has them"] if left_out else notes
