"""``cancel``: ends jobs before they are paid for."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from askonce.cli.exits import Exit, unavailable
from askonce.cli.keys import is_key, read_keys
from askonce.cli.signed import signed
from askonce.cli.site import open_site

if TYPE_CHECKING:
    from collections.abc import Iterable

    from askonce.job import Key
    from askonce.store import Cancellation, Store

#: How people read what became of jobs, by the names of ``Cancellation``.
_WORDS = {
    "cancelled": "cancelled",
    "shared": "left to another run that asked for them too",
    "running": "under way: they end by themselves",
    "idle": "over before",
    "absent": "unknown",
}


class _Ended(NamedTuple):
    """What became of the jobs that one word of the command line names."""

    what: str
    counts: Counter[Cancellation]
    #: Whether somebody knows what was named.
    known: bool = True
    #: Whether the producer of the run was told.
    told: bool = False

    def shown(self) -> dict[str, object]:
        """Return the same for programs."""
        from askonce.store import Cancellation

        counts = {each.value: self.counts[each] for each in Cancellation}
        return {"what": self.what, **counts, "producer_asked_to_stop": self.told}

    @property
    def line(self) -> str:
        """The same in one line."""
        from askonce.line import one_line
        from askonce.store import Cancellation

        counts = [f"{self.counts[each]} {_WORDS[each.value]}" for each in Cancellation if self.counts[each]]
        told = ["its producer is asked to stop"] if self.told else []
        return one_line(f"{self.what}: {', '.join([*told, *counts]) or 'no job is in flight'}")


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="RUN|FILE|KEY...")
@click.option("--run", help="Of a FILE or KEY only jobs of this run that no other run asked for.")
@click.option("--note", default="", metavar="TEXT", help="Why; the producer of a RUN shows it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
def cancel(what: tuple[str, ...], *, run: str | None, note: str, as_json: bool) -> None:
    """End the queued jobs of a RUN, of a FILE that a run wrote, or of a KEY. Calls under way end.

    Of a RUN, a job that another run asked for too is left to that one.
    """
    from askonce.runs import NAME_KEPT

    why, failed = signed(note, NAME_KEPT), False
    for name in what:
        _require(name, run)
    with unavailable():
        store = open_site().store
        for name in what:
            ended = _end(store, name, run, why)
            failed |= not ended.known
            if not ended.known:
                click.echo(f"{name}: is no run that is known, no file and no key", err=True)
            else:
                click.echo(json.dumps(ended.shown(), ensure_ascii=False) if as_json else ended.line)
    sys.exit(Exit.FAILED if failed else Exit.OK)


def _require(name: str, run: str | None) -> None:
    """Refuse what names neither a key, nor a file, nor a run, before any job is ended."""
    from askonce.runs import require_name

    if run == "":
        raise click.UsageError("--run: is empty")
    if is_key(name):
        return
    if Path(name).is_file():
        # The whole of it: a bad line must not be found after half of the jobs.
        for _ in read_keys(name):
            pass
        return
    if run is not None:
        raise click.UsageError(f"{name}: is neither a file nor a key, which --run is for")
    try:
        require_name("name of a run", name)
    except ValueError as error:
        raise click.UsageError(f"{name!r}: {error}") from None


def _end(store: Store, name: str, run: str | None, why: str) -> _Ended:
    from askonce.cancel import cancel_run
    from askonce.job import Key
    from askonce.store import Cancellation

    if is_key(name):
        counts = _end_keys(store, [Key(name)], run)
        return _Ended(name, counts, known=not counts[Cancellation.ABSENT])
    if Path(name).is_file():
        return _Ended(name, _end_keys(store, read_keys(name), run))
    # In this order: a producer that goes on would enqueue what was ended.
    told = store.runs.ask_to_stop(name, why)
    counts = cancel_run(store, name)
    return _Ended(name, counts, known=told or bool(counts) or store.runs.get(name) is not None, told=told)


def _end_keys(store: Store, keys: Iterable[Key], run: str | None) -> Counter[Cancellation]:
    from askonce.cancel import cancel_keys

    return Counter(ended for _, ended in cancel_keys(store, keys, run))
