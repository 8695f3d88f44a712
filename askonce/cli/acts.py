"""``jobs replay``, ``cancel`` and ``invalidate``: what a person does to many jobs at once, or to one."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from askonce.cli.choosing import WHAT, choosing, doubt_task, named, wanted
from askonce.cli.counted import counted
from askonce.cli.exits import Exit, unavailable
from askonce.cli.printed import echo, to_json
from askonce.cli.signed import in_few_words, signed, write_down
from askonce.cli.site import open_site
from askonce.cli.working import working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from askonce.audit import Act
    from askonce.cli.site import Site
    from askonce.job import Key

#: Dead letters of one round trip.
_LETTERS_AT_ONCE = 100


class _Done(NamedTuple):
    """What became of one job, and whether that was the aim."""

    key: Key
    outcome: str
    ok: bool


class _Verb(NamedTuple):
    """One way to act on jobs."""

    act: Act
    #: Those that it means where jobs are chosen by what they are; empty: they must be named.
    states: tuple[str, ...]
    #: With the run whose jobs alone are meant, if any.
    do: Callable[[Site, Sequence[Key], str | None], Iterator[_Done]]
    #: Also to what older versions keep of the jobs that are named.
    forgets: bool = False


def _replay(site: Site, keys: Sequence[Key], _run: str | None) -> Iterator[_Done]:
    from askonce.cli.letters import QuarantinedJob

    for first in range(0, len(keys), _LETTERS_AT_ONCE):
        some = keys[first : first + _LETTERS_AT_ONCE]
        for key, dead in zip(some, site.store.letters.show(some), strict=True):
            if dead is None:
                yield _Done(key, "is not dead", ok=False)
            else:
                yield _Done(key, *QuarantinedJob(site, dead).replay())


def _cancel(site: Site, keys: Sequence[Key], run: str | None) -> Iterator[_Done]:
    from askonce.cancel import cancel_keys
    from askonce.store import Cancellation

    for key, ended in cancel_keys(site.store, keys, run):
        yield _Done(key, ended.value, ok=ended in (Cancellation.CANCELLED, Cancellation.RUNNING))


def _invalidate(site: Site, keys: Sequence[Key], _run: str | None) -> Iterator[_Done]:
    from askonce.errors import LayoutNewer
    from askonce.store import Write

    for key in keys:
        try:
            ok = site.store.invalidate(key) is Write.OK
        except LayoutNewer as exc:
            # The keys after it are meant all the same.
            yield _Done(key, f"refused: {exc}", ok=False)
            continue
        yield _Done(key, "invalidated" if ok else "absent", ok=ok)


_REPLAY = _Verb("replay", ("dead",), _replay)
_CANCEL = _Verb("cancel", ("queued", "parked", "paused", "running"), _cancel)
_INVALIDATE = _Verb("invalidate", (), _invalidate, forgets=True)


def _acting(command: Callable[..., None]) -> Callable[..., None]:
    """Add what all of these verbs have."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON object for each job on stdout."),
        click.option("--note", default="", metavar="TEXT", help="Why; the audit keeps it."),
        click.option("--dry-run", is_flag=True, help="Name the jobs, and do nothing."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("what", nargs=-1, metavar=f"[{WHAT}]")
@choosing
@click.option("--state", type=click.Choice(_REPLAY.states), help="Those that are replayed: dead jobs.")
@click.option("--all", "everything", is_flag=True, help="All dead jobs.")
@_acting
def replay(what: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401  # click's
    """Enqueue dead jobs again: those named, or those that fit the options."""
    _act(_REPLAY, what, **options)


@click.command()
@click.argument("what", nargs=-1, metavar=f"[{WHAT}]")
@choosing
@click.option("--state", type=click.Choice(_CANCEL.states), help="Only jobs in this state.")
@click.option("--all", "everything", is_flag=True, help="All jobs in flight.")
@_acting
def cancel(what: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401  # click's
    """End queued jobs unpaid: those named, or those that fit. Calls under way end by themselves."""
    _act(_CANCEL, what, **options)


@click.command()
@click.argument("what", nargs=-1, required=True, metavar=WHAT)
@click.option("--tenant", default="", help="The tenant of a TASK's job: part of the key.")
@_acting
def invalidate(what: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401  # click's
    """Forget what is kept under keys: answer, failure and job. A call under way is paid, and not kept."""
    _act(_INVALIDATE, what, everything=False, **options)


def _act(
    verb: _Verb,
    what: tuple[str, ...],
    *,
    everything: bool,
    dry_run: bool,
    note: str,
    as_json: bool,
    **chosen: Any,  # noqa: ANN401  # the options of ``choosing``
) -> None:
    from askonce.controls import NOTE_KEPT

    tenant = chosen["tenant"] or ""
    others = {name: value for name, value in chosen.items() if value is not None and name != "tenant"}
    if bool(what) == (everything or bool(others) or bool(tenant and not what)) or (what and others):
        raise click.UsageError("name jobs, or choose them with options or --all, not both")
    signed(note, NOTE_KEPT)
    with unavailable():
        site = open_site()
        keys, missing = _named_keys(site, verb, what, tenant) if what else (_fitting(site, verb, chosen), 0)
        if not keys and not what:
            doubt_task(site, chosen["task"])
        if dry_run:
            _tell_dry(verb, keys, as_json=as_json)
            sys.exit(Exit.FAILED if missing else Exit.OK)
        write_down(site.store, verb.act, _in_words(what, chosen, keys), note)
        counts = _do(site, verb, keys, chosen.get("run"), as_json=as_json)
    echo(f"{counts[True]:,} done, {counts[False] + missing:,} not", err=True)
    sys.exit(Exit.FAILED if counts[False] or missing else Exit.OK)


def _named_keys(site: Site, verb: _Verb, what: tuple[str, ...], tenant: str) -> tuple[list[Key], int]:
    """Return the keys that *what* names, and how many words name none."""
    keys: dict[Key, None] = {}
    missing = 0
    for each in named(site, what, tenant):
        keys |= dict.fromkeys(each.forgettable if verb.forgets else each.keys)
        if each.missing:
            echo(f"{each.what}: {each.missing}", err=True)
            missing += 1
    return list(keys), missing


def _fitting(site: Site, verb: _Verb, chosen: dict[str, Any]) -> list[Key]:
    """Return the keys of the jobs that fit; before any of them is changed, which would change the list."""
    from askonce.cli.listed import indexed_keys, jobs_of

    others = dict(chosen)
    state = others.pop("state")
    means = wanted((state,) if state else verb.states, others)
    keys = indexed_keys(site.store, means)
    with working("looked at", keys.total) as report:
        return [job.key for job in jobs_of(site.store, keys, report) if means.fits(job)]


def _tell_dry(verb: _Verb, keys: Sequence[Key], *, as_json: bool) -> None:
    for key in keys:
        echo(to_json({"key": key, "outcome": "would be done"}) if as_json else key)
    echo(f"--dry-run: {verb.act} would be done to {counted(len(keys), 'job')}", err=True)


def _in_words(what: tuple[str, ...], chosen: dict[str, Any], keys: Sequence[Key]) -> str:
    """Return what the command line named, for the audit: keys in place of fields, which are the payload's."""
    from askonce.cli.moments import moment

    if what:
        task = [what[0]] if "=" in what[-1] else []
        tenant = [f"--tenant {chosen['tenant']}"] if chosen["tenant"] else []
        return " ".join([*task, *tenant, *([in_few_words(keys, "job")] if keys else [])])
    since = {"since": moment(chosen["since"])} if chosen["since"] is not None else {}
    options = {name: value for name, value in {**chosen, **since}.items() if value is not None}
    words = [f"--{name} {value}" for name, value in options.items()] or ["--all"]
    return f"{' '.join(words)}: {counted(len(keys), 'job')}"


def _do(site: Site, verb: _Verb, keys: Sequence[Key], run: str | None, *, as_json: bool) -> Counter[bool]:
    """Act on *keys*; print what became of each, or of those only that could not be done."""
    counts, failed = Counter[bool](), list[_Done]()
    with working(verb.act, len(keys), prints=as_json) as report:
        for done in verb.do(site, keys, run):
            counts[done.ok] += 1
            if as_json:
                echo(to_json({"key": done.key, "outcome": done.outcome}))
            elif not done.ok or len(keys) == 1:
                failed.append(done)
            report(counts.total())
    for done in failed:
        # An outcome may name a field of the payload.
        echo(f"{done.key} {done.outcome}")
    return counts
