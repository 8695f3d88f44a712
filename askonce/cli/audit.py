"""``audit``: shows what people did to jobs, who, when and why."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from askonce.cli.exits import unavailable
from askonce.cli.printed import echo, to_json
from askonce.cli.since import SINCE
from askonce.cli.site import open_site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.audit import Entry

#: Entries that are shown without --all.
PAGE = 100


@click.command()
@click.option("--since", type=SINCE, metavar="TIME|7d|24h|30m", help="Only what was done since then.")
@click.option("--all", "everything", is_flag=True, help=f"All of them, not only the {PAGE} latest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
def audit(*, since: float | None, everything: bool, as_json: bool) -> None:
    """Show who paused, resumed, cancelled, replayed, discarded, invalidated, purged or ran what, and why."""
    with unavailable():
        entries = deque(
            open_site().store.audit.entries(since or 0.0), maxlen=None if everything else PAGE + 1
        )
    more = not everything and len(entries) > PAGE
    if more:
        entries.popleft()
    for line in map(_json, entries) if as_json else _lines(entries):
        echo(line)
    echo(f"{len(entries)} shown{', there are older ones: --all shows them' if more else ''}", err=True)


def _json(entry: Entry) -> str:
    from askonce.cli.moments import moment

    return to_json({**asdict(entry), "at": moment(entry.at)})


def _lines(entries: Sequence[Entry]) -> list[str]:
    from askonce.cli.moments import moment
    from askonce.cli.table import Table, room_of_stdout
    from askonce.line import one_line

    if not entries:
        return []
    heads = ["at", "who", "act", "what", "note"]
    rows = [(moment(each.at), each.who, each.act, each.what, each.note) for each in entries]
    # Whoever may write to the store may write an entry.
    table = Table([heads, *([one_line(cell) for cell in row] for row in rows)], names=3, left=len(heads))
    return table.fitted(room_of_stdout())[0]
