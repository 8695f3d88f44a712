"""``pause``, ``resume`` and ``pauses``: hold jobs back, let them go on, and show what is held back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from askonce.cli.exits import Exit, unavailable
from askonce.cli.printed import echo, to_json
from askonce.cli.signed import signed, write_down
from askonce.cli.site import open_site, require_records

if TYPE_CHECKING:
    from askonce.cli.site import Site
    from askonce.controls import Pause, Scope

_CommandT = TypeVar("_CommandT", bound=Callable[..., Any])


def _choosing(command: _CommandT) -> _CommandT:
    """Add the options that say which jobs."""
    for option in (
        click.option("--model", help="Jobs whose calls go to this model."),
        click.option("--run", help="Jobs of this run."),
        click.option("--tenant", help="Jobs of this tenant."),
        click.option("--task", help="Jobs of this task."),
        click.option("--queue", help="What is in this queue: it keeps its messages."),
        click.option("--all", is_flag=True, help="All jobs: no worker takes a message."),
    ):
        command = option(command)
    return command


@click.command()
@_choosing
@click.option("--note", default="", metavar="TEXT", help="Why; who waits for a job sees it.")
def pause(note: str, **named: Any) -> None:  # noqa: ANN401  # click's
    """Start no job of these any more; calls under way end. It holds until it is resumed."""
    from askonce.cli.pauses import line_of, option_of
    from askonce.controls import NOTE_KEPT

    chosen, whole = _chosen(named), signed(note, NOTE_KEPT)
    with unavailable():
        site = open_site()
        if chosen.scope == "task":
            require_records(chosen.name, site.specs)
        write_down(site.store, "pause", option_of(chosen), note)
        site.store.controls.pause(chosen, whole)
        echo(f"paused {line_of(chosen, whole)}")
        if (doubt := _doubt(chosen, site)) is not None:
            echo(doubt, err=True)


@click.command()
@_choosing
@click.option("--note", default="", metavar="TEXT", help="Why; the audit keeps it.")
def resume(note: str, **named: Any) -> None:  # noqa: ANN401  # click's
    """Let the jobs of a pause go on, which names them by the same option."""
    from askonce.cli.pauses import line_of, option_of
    from askonce.controls import NOTE_KEPT

    chosen = _chosen(named)
    signed(note, NOTE_KEPT)
    with unavailable():
        store = open_site().store
        write_down(store, "resume", option_of(chosen), note)
        controls = store.controls
        ended, left = controls.resume(chosen), controls.pauses()
    if ended:
        echo(f"resumed {option_of(chosen)}")
    else:
        echo(f"there is no pause {option_of(chosen)}", err=True)
    for each, why in sorted(left.items()):
        echo(f"still paused: {line_of(each, why)}", err=True)
    sys.exit(Exit.OK if ended else Exit.FAILED)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
def pauses(*, as_json: bool) -> None:
    """List the pauses that hold, with who paused, why, and since when where the audit knows that."""
    from askonce.cli.moments import moment
    from askonce.cli.pauses import began, line_of

    with unavailable():
        store = open_site().store
        held = sorted(store.controls.pauses().items())
        since = began(dict(held), store.audit.entries()) if held else {}
    for each, note in held:
        at = moment(since[each]) if each in since else None
        shown = {"scope": each.scope, "name": each.name, "since": at, "note": note}
        echo(to_json(shown) if as_json else f"{line_of(each, note)}{f' (since {at})' if at else ''}")
    if not held:
        echo("nothing is paused", err=True)


def _chosen(named: dict[str, Any]) -> Pause:
    """Return the pause that the options name: exactly one, because two would hold back either."""
    from askonce.controls import Pause, require_pause

    given: list[Scope] = [scope for scope, name in named.items() if name not in (None, False)]  # type: ignore[misc]  # the options are the scopes
    if len(given) != 1:
        options = ", ".join(f"--{scope}" for scope in named)
        raise click.UsageError(f"name exactly one of {options}")
    [scope] = given
    name = "" if scope == "all" else str(named[scope])
    chosen = Pause(scope, name)
    try:
        require_pause(chosen)
    except ValueError as error:
        raise click.UsageError(f"--{scope}: {error}") from None
    return chosen


def _doubt(chosen: Pause, site: Site) -> str | None:
    """Return why a pause may hold nothing back: its name may be a slip."""
    if chosen.scope == "model" and all(spec.model != chosen.name for spec in site.specs.values()):
        return f"no task of this application names the model {chosen.name!r}"
    if chosen.scope != "queue":
        return None
    workers = site.store.announcements.workers()
    taken = any(chosen.name in each.queues or not each.whole for each in workers)
    return None if taken else f"no living worker takes queue {chosen.name!r}"
