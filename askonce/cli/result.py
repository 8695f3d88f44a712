"""``result``: prints a stored answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from askonce.cli.exits import Exit, unavailable
from askonce.cli.keys import is_key
from askonce.cli.printed import echo, to_json
from askonce.cli.site import open_site

if TYPE_CHECKING:
    from askonce.cli.site import Site
    from askonce.record import Snapshot


@click.command()
@click.argument("key")
def result(key: str) -> None:
    """Print the answer stored under KEY as JSON."""
    if not is_key(key):
        raise click.UsageError("KEY must be 64 hexadecimal digits")
    from askonce.answer import to_result
    from askonce.job import Key

    with unavailable():
        site = open_site()
        record = site.store.read([Key(key)])[0].checked()
    if record.value is None:
        echo(why_none(site, record, key), err=True)
        sys.exit(end_of(record))
    with unavailable():
        answer = to_result(Key(key), record.job, record.value, "cache" if record.value.fresh else "stale")
    echo(to_json(answer.to_dict()))


def end_of(record: Snapshot) -> Exit:
    """Return how a command ends that wanted an answer where *record* has none."""
    from askonce.record import Status

    return Exit.TIMED_OUT if record.status in (Status.QUEUED, Status.RUNNING) else Exit.FAILED


def why_none(site: Site, record: Snapshot, key: str) -> str:
    """Return why there is no answer, what that cost, and what a person can do; states as ``jobs show``."""
    from askonce.cli.standing import state_of
    from askonce.line import one_line
    from askonce.log import digits_of

    words = f"{key}: no answer, the job is {state_of(record).value}"
    if record.failure is None:
        return words
    kind, reason, cost = record.failure.kind, record.failure.reason, record.failure.spend.cost_usd
    paid = f"cost_usd={'unknown' if cost is None else digits_of(cost)} attempts={record.attempts}"
    return one_line(": ".join(filter(None, (words, reason, paid, site.cure_of(reason, kind=kind, key=key)))))
