"""``cancel``: ends jobs before they are paid for."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import click

from askonce.cli.choosing import NAME
from askonce.cli.exits import Exit, unavailable
from askonce.cli.keys import is_key, read_keys
from askonce.cli.printed import echo, to_json
from askonce.cli.signed import in_few_words, signed, write_down
from askonce.cli.site import FILE, mounted, open_site

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from askonce.cli.site import Site
    from askonce.job import Key
    from askonce.rows import BadRow, Row
    from askonce.store import Cancellation, Store

#: How people read what became of jobs, by the names of ``Cancellation``.
_WORDS = {
    "cancelled": "cancelled",
    "shared": "left to another run that asked for them too",
    "running": "under way: they end by themselves",
    "idle": "over before",
    "absent": "unknown",
    "unreadable": "unreadable: left alone",
}


class _Ended(NamedTuple):
    """What became of the jobs that one word of the command line names."""

    what: str
    counts: Counter[Cancellation]
    #: Whether somebody knows what was named.
    known: bool = True
    #: Whether the producer of the run was told.
    told: bool = False
    #: Rows that never were a job; None where no rows were read.
    invalid: int | None = None

    @property
    def failed(self) -> bool:
        """Whether something was named that is no job, or one whose record was left alone."""
        from askonce.store import Cancellation

        return not self.known or bool(self.invalid or self.counts[Cancellation.UNREADABLE])

    def shown(self) -> dict[str, object]:
        """Return the same for programs."""
        from askonce.store import Cancellation

        counts = {each.value: self.counts[each] for each in Cancellation}
        invalid = {} if self.invalid is None else {"invalid": self.invalid}
        return {"what": self.what, **counts, **invalid, "producer_asked_to_stop": self.told}

    @property
    def line(self) -> str:
        """The same in one line."""
        from askonce.line import one_line
        from askonce.store import Cancellation

        counts = [f"{self.counts[each]} {_WORDS[each.value]}" for each in Cancellation if self.counts[each]]
        told = ["its producer is asked to stop"] if self.told else []
        invalid = [f"{self.invalid} invalid: no job"] if self.invalid else []
        return one_line(f"{self.what}: {', '.join([*told, *counts, *invalid]) or 'no job is in flight'}")


@click.command()
@click.argument("what", nargs=-1, required=True, type=FILE, metavar="RUN|FILE|KEY...")
@click.option("--run", type=NAME, help="Of a FILE or KEY only jobs of this run that no other run asked for.")
@click.option(
    "--task", type=NAME, help="Each FILE has rows as they were submitted to this task, not what a run wrote."
)
@click.option("--tenant", default="", help="The tenant of these rows: part of the key.")
@click.option("--note", default="", metavar="TEXT", help="Why; the producer of a RUN shows it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
def cancel(
    what: tuple[str, ...], *, run: str | None, task: str | None, tenant: str, note: str, as_json: bool
) -> None:
    """End the queued jobs of a RUN, of a FILE, or of a KEY. Calls under way end.

    A FILE is one that a run wrote, or with --task one that was submitted. Of a RUN, a job that another run
    asked for too is left to that one.
    """
    from askonce.runs import NAME_KEPT

    why, failed = signed(note, NAME_KEPT), False
    if tenant and task is None:
        raise click.UsageError("--tenant is for rows of a file: add --task, whose rows they are")
    for name in () if task else what:
        _require(name, run)
    with unavailable():
        site = open_site(task)
        named = in_few_words(what, "name")
        chosen = {"task": task, "tenant": tenant, "run": run}
        options = [f"--{option} {value}" for option, value in chosen.items() if value]
        write_down(site.store, "cancel", " ".join([named, *options]), note)
        for name in what:
            ended = _end_rows(site, name, run, task, tenant) if task else _end(site.store, name, run, why)
            failed |= ended.failed
            if not ended.known:
                echo(f"{name}: is no run that is known, no file and no key", err=True)
            else:
                echo(to_json(ended.shown()) if as_json else ended.line)
    sys.exit(Exit.FAILED if failed else Exit.OK)


def _require(name: str, run: str | None) -> None:
    """Refuse what names neither a key, nor a file, nor a run, before any job is ended."""
    from askonce.runs import require_name

    if is_key(name):
        return
    if os.path.isfile(name):  # noqa: PTH113  # that of Path raises an error for a name that is too long
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
    if os.path.isfile(name):  # noqa: PTH113  # as above
        return _Ended(name, _end_keys(store, read_keys(name), run))
    # In this order: a producer that goes on would enqueue what was ended.
    told = store.runs.ask_to_stop(name, why)
    counts = cancel_run(store, name)
    return _Ended(name, counts, known=told or bool(counts) or store.runs.get(name) is not None, told=told)


def _end_rows(site: Site, name: str, run: str | None, task: str, tenant: str) -> _Ended:
    """End the jobs of the rows that were submitted as *name*."""
    from askonce.cli.explained import read_file

    invalid = 0

    def keys() -> Iterator[Key]:
        nonlocal invalid
        for row in (mounted().read or read_file)(name, site.specs[task]):
            key = _key_of(site, task, row, tenant)
            if key is None:
                invalid += 1
            else:
                yield key

    counts = _end_keys(site.store, keys(), run)
    return _Ended(name, counts, invalid=invalid)


def _key_of(site: Site, task: str, row: Row | BadRow, tenant: str) -> Key | None:
    """Return the key of *row*; None for one that never was a job."""
    from askonce.errors import PayloadInvalid
    from askonce.rows import BadRow

    try:
        return None if isinstance(row, BadRow) else site.identify(task, row.payload, tenant).key
    except PayloadInvalid:
        return None


def _end_keys(store: Store, keys: Iterable[Key], run: str | None) -> Counter[Cancellation]:
    from askonce.cancel import cancel_keys

    return Counter(ended for _, ended in cancel_keys(store, keys, run))
