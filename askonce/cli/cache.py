"""``cache``: shows the answers that are kept, makes them old, and asks for some ahead."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from askonce.cli.choosing import NAME, named
from askonce.cli.exits import Exit, is_terminal, unavailable
from askonce.cli.printed import echo, to_json
from askonce.cli.signed import in_few_words, signed, write_down
from askonce.cli.site import FILE, mounted, open_site, require_records
from askonce.cli.working import working

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.cli.site import Site
    from askonce.controls import Mark
    from askonce.job import Key

#: How the job of one answer is named.
_ONE = "KEY|TASK FIELD=VALUE...|TASK JSON"
#: Answers that a list shows without --limit.
PAGE = 100
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
_NOTE = click.option("--note", default="", metavar="TEXT", help="Why; the audit keeps it.")
_EXPIRE = click.option(
    "--expire/--remove",
    help="Make them stale, or let no caller get them again.  [default: remove]",
)


@click.group()
def cache() -> None:
    """Show the answers that are kept, make them old, and ask for some ahead."""


@cache.command()
@click.argument("what", nargs=-1, required=True, metavar=_ONE)
@click.option("--tenant", default="", help="The tenant of a TASK's job: part of the key.")
@click.option("--value", "with_value", is_flag=True, help="Show the answer itself too.")
@_JSON
def get(what: tuple[str, ...], *, tenant: str, with_value: bool, as_json: bool) -> None:
    """Show the answer of one job: its age, how long it is fresh and kept, its cost and tags.

    Of a TASK, all key fields name a job, or its whole payload as JSON.
    """
    from askonce.cli.kept import lines_of, one_key, shown
    from askonce.cli.result import end_of, why_none

    with unavailable():
        site = open_site()
        key = one_key(site, what, tenant)
        record, kept = site.store.read([key])[0].checked(), site.store.due.look(key)
        if record.value is None or kept is None:
            echo(why_none(site, record, key), err=True)
            sys.exit(end_of(record))
        found = shown(kept, record, with_value=with_value)
    for line in [to_json(found)] if as_json else lines_of(found):
        echo(line)


@cache.command("list")
@click.option("--task", type=NAME, help="Answers of this task.")
@click.option("--tenant", help="Answers of this tenant.")
@click.option("--tag", type=NAME, help="Answers with this tag.")
@click.option("--fresh/--stale", "fresh", default=None, help="Only fresh ones, or only stale ones.")
@click.option("--limit", type=click.IntRange(min=1), default=PAGE, show_default=True, help="So many at most.")
@_JSON
def list_(*, fresh: bool | None, limit: int, as_json: bool, **meant: str | None) -> None:
    """List answers that are kept, with their ages. Never shows a value."""
    from itertools import islice

    from askonce.cli.choosing import doubt_task
    from askonce.cli.kept import line_of, table_of, walk
    from askonce.due import Meant

    with unavailable():
        site = open_site()
        total = sum(site.store.due.counts())
        with working("looked at", total) as report:
            fitting = walk(site.store.due, Meant(**meant), report)
            chosen = (each for each in fitting if fresh is None or fresh == (each.fresh_for > 0))
            found = list(islice(chosen, limit))
            more = next(chosen, None) is not None
    for line in [to_json(line_of(each)) for each in found] if as_json else table_of(found):
        echo(line)
    if not found:
        doubt_task(site, meant["task"])
    hint = ", there are more: --limit shows them" if more else ""
    echo(f"{len(found):,} shown of about {total:,} that are kept{hint}", err=True)


@cache.command()
@_JSON
def stats(*, as_json: bool) -> None:
    """Count hits, misses and stale answers since the store began, what they avoided, and what is kept."""
    from askonce.cli.kept import stats_of, table_of_stats

    with unavailable():
        store = open_site().store
        lines, kept = stats_of(store.tally.totals()), sum(store.due.counts())
    if as_json:
        for line in lines:
            echo(to_json(line))
        echo(to_json({"kept": kept}))
        return
    for text in table_of_stats(lines):
        echo(text)
    echo(f"about {kept:,} answers are kept", err=True)


@cache.command()
@click.argument("what", nargs=-1, metavar="[KEY...|TASK FIELD=VALUE...]")
@click.option("--task", help="All answers of this task.")
@click.option("--tenant", help="All answers of this tenant; of a TASK's job, part of the key.")
@click.option("--tag", help="All answers with this tag, of any task.")
@click.option("--version", metavar="TASK:VERSION", help="All answers of this version of a task.")
@_EXPIRE
@_NOTE
def invalidate(what: tuple[str, ...], *, expire: bool, note: str, **names: str | None) -> None:
    """Make answers old: of the jobs that are named, or all of a task, a tenant, a tag or a version.

    Removed, no caller gets them again. Expired, they may be served while a job makes them anew, or where
    its call fails. What a call under way gives counts as an answer of before.
    """
    from askonce.controls import NOTE_KEPT

    signed(note, NOTE_KEPT)
    tenant = names.pop("tenant") or "" if what else ""
    if bool(what) == any(name is not None for name in names.values()):
        options = ", ".join(f"--{name}" for name in ("task", "tenant", "tag", "version"))
        raise click.UsageError(f"name jobs, or exactly one of {options}")
    if what:
        _invalidate_keys(what, tenant, note, expire=expire)
    else:
        _mark(_mark_of(names, expire=expire), note)


@cache.command()
@click.option("--task", help="Only the answers of this task.")
@click.option("-y", "--yes", is_flag=True, help="Do it without a question.")
@_NOTE
def clear(task: str | None, *, yes: bool, note: str) -> None:
    """Let no caller get any answer again that is kept now: each is paid for again when it is asked for."""
    from askonce.cli.counted import counted
    from askonce.controls import NOTE_KEPT, Mark

    signed(note, NOTE_KEPT)
    mark = Mark("all") if task is None else _mark_of({"task": task}, expire=False)
    if not yes:
        if not is_terminal(sys.stdin):
            raise click.UsageError("without a terminal, --yes says that it is meant")
        with unavailable():
            kept = counted(sum(_site_of(mark).store.due.counts()), "answer")
        whose = "all answers" if task is None else f"all answers of {task}"
        if not click.confirm(f"Remove {whose}? About {kept} of all tasks are kept.", err=True):
            sys.exit(Exit.FAILED)
    _mark(mark, note)


@cache.command()
@click.argument("task")
@click.argument("what", type=FILE, metavar="FILE")
@click.option("--tenant", default="", help="The tenant of these jobs: part of the key.")
@click.option("--max-calls", type=click.IntRange(min=0), help="New jobs at most; then it stops.")
@click.option("--json", "as_json", is_flag=True, help="The counts as one JSON object on stdout.")
def warm(task: str, what: str, *, tenant: str, max_calls: int | None, as_json: bool) -> None:
    """Ask for the answers of a file's rows ahead; does not wait for them.

    Rows whose answers are fresh cost nothing. A bound in dollars, an output and a run that goes on have
    ``submit``.
    """
    from askonce.cli.warmed import warm_rows

    site = open_site(task)
    with unavailable(), working("looked at") as report:
        warmed = warm_rows(site, task, what, mounted().read, tenant=tenant, most=max_calls, report=report)
    for number, why in warmed.refused:
        echo(f"row {number}: {why}", err=True)
    echo(to_json(warmed.counts) if as_json else warmed.text)
    sys.exit(Exit.LIMIT if warmed.stopped else Exit.FAILED if warmed.refused else Exit.OK)


def _mark_of(names: dict[str, str | None], *, expire: bool) -> Mark:
    """Return the mark that the options name: exactly one, because two would be meant as both or as either."""
    from askonce.controls import Mark, require_mark

    given = [(scope, name) for scope, name in names.items() if name is not None]
    if len(given) != 1:
        raise click.UsageError(f"name one of {', '.join(f'--{scope}' for scope, _ in given)}, not several")
    [(scope, name)] = given
    version = ""
    if scope == "version":
        name, _, version = name.rpartition(":")
        if not (name and version):
            raise click.UsageError("--version: names a task and its version, such as rates.fetch:2")
    mark = Mark(scope, name, version, "expire" if expire else "remove")  # type: ignore[arg-type]  # the options are the scopes
    try:
        require_mark(mark)
    except ValueError as error:
        raise click.UsageError(f"--{scope}: {error}") from None
    return mark


def _site_of(mark: Mark) -> Site:
    """Return the application; end the command where it has no task that *mark* names."""
    site = open_site()
    if mark.scope in ("task", "version"):
        require_records(mark.name, site.specs)
    return site


def _mark(mark: Mark, note: str) -> None:
    with unavailable():
        site = _site_of(mark)
        store = site.store
        name = ":".join(filter(None, (mark.name, mark.version)))
        option = f"--{mark.scope} {name}".rstrip()
        done = f"{option} --expire" if mark.mode == "expire" else option
        write_down(store, "invalidate", done, note)
        # For answers of a release without marks, whose ends the store does not know.
        store.controls.mark(mark, max((spec.hard_ttl for spec in site.specs.values()), default=0.0))
    became = "stale" if mark.mode == "expire" else "removed"
    echo(f"{option}: each answer whose call began before now is {became}")


def _invalidate_keys(what: Sequence[str], tenant: str, note: str, *, expire: bool) -> None:
    from askonce.store import Write

    with unavailable():
        site = open_site()
        found = list(named(site, what, tenant))
        keys: list[Key] = list(dict.fromkeys(key for each in found for key in each.forgettable))
        missing = [f"{each.what}: {each.missing}" for each in found if each.missing]
        write_down(site.store, "invalidate", _in_words(what, keys, expire=expire), note)
        absent = [key for key in keys if site.store.invalidate(key, expire=expire) is Write.ABSENT]
    for line in [*missing, *(f"{key}: no record has this key" for key in absent)]:
        echo(line, err=True)
    echo(f"{len(keys) - len(absent):,} {'expired' if expire else 'invalidated'}")
    sys.exit(Exit.FAILED if absent or missing else Exit.OK)


def _in_words(what: Sequence[str], keys: Sequence[Key], *, expire: bool) -> str:
    """Return what the command line named, for the audit: keys in place of fields, which are the payload's."""
    task = [what[0]] if "=" in what[-1] else []
    return " ".join([*task, in_few_words(keys, "job"), *(["--expire"] if expire else [])])
