"""``dead``: lists, shows, replays and discards dead letters.

An ID is the key of a job (64 digits, or its first twelve at least) or the number of a message, with a dash.
Only ``show --payload`` prints payloads.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from askonce.cli.choosing import NAME
from askonce.cli.counted import counted
from askonce.cli.exits import Exit, unavailable
from askonce.cli.printed import echo, to_json
from askonce.cli.signed import in_few_words, signed, write_down
from askonce.cli.site import open_site

if TYPE_CHECKING:
    from askonce.audit import Act
    from askonce.cli.letters import DeadLetter

#: Dead letters that a list shows without --all.
PAGE = 100
_CommandT = TypeVar("_CommandT", bound=Callable[..., Any])


def _choosing(command: _CommandT) -> _CommandT:
    """Add the options that choose dead letters."""
    for option in (
        click.option("--task", type=NAME, help="Only dead letters of this task."),
        click.option("--reason", type=NAME, help="Only dead letters with this reason."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout."),
    ):
        command = option(command)
    return command


@click.group(
    epilog="Exit codes: 0 ok, 1 an unknown ID or a replay that failed, 2 usage, 69 unavailable,"
    " 78 configuration."
)
def dead() -> None:
    """List, show, replay or discard dead letters: quarantined jobs and unusable messages."""


@dead.command("list")
@_choosing
@click.option("--all", "everything", is_flag=True, help=f"All of them, not only the oldest {PAGE}.")
def list_(*, task: str | None, reason: str | None, as_json: bool, everything: bool) -> None:
    """List dead letters, the oldest first: jobs, then messages."""
    from askonce.cli.letters import DeadLetters

    shown, more, cures = 0, False, dict[str, None]()
    with unavailable():
        for letter in DeadLetters(open_site()).matching(task=task, reason=reason):
            if shown == PAGE and not everything:
                more = True
                break
            echo(to_json(letter.shown()) if as_json else letter.line)
            shown, cures[letter.cure] = shown + 1, None
    for cure in filter(None, cures):
        echo(cure, err=True)
    words = f"{shown} shown, there are more: --all shows them" if more else f"{shown} dead letters"
    echo(words, err=True)


@dead.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--payload", is_flag=True, help="Also the payload, which may be personal data.")
def show(ids: tuple[str, ...], *, payload: bool) -> None:
    """Show the dead letter of each ID, as JSON."""
    from askonce.cli.letters import DeadLetters

    failed = False
    with unavailable():
        for name, letter in DeadLetters(open_site()).named(ids, payload=payload):
            if letter is None:
                failed = _report_missing(name)
            else:
                echo(to_json(letter.shown(payload=payload)))
    sys.exit(Exit.FAILED if failed else Exit.OK)


@dead.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_choosing
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--note", default="", metavar="TEXT", help="Why; the audit keeps it.")
def replay(ids: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401  # click's
    """Enqueue jobs and send messages again; each leaves the list only after that."""
    _act("replay", ids, lambda letter: letter.replay(), **options)


@dead.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_choosing
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--note", default="", metavar="TEXT", help="Why; the audit keeps it.")
def discard(ids: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401  # click's
    """Forget messages, and jobs with their last good answers."""
    _act("discard", ids, lambda letter: letter.discard(), **options)


def _act(
    act: Act,
    ids: tuple[str, ...],
    action: Callable[[DeadLetter], tuple[str, bool]],
    *,
    task: str | None,
    reason: str | None,
    as_json: bool,
    everything: bool,
    note: str,
) -> None:
    from askonce.controls import NOTE_KEPT

    if bool(ids) == (everything or bool(task or reason)):
        raise click.UsageError("name IDs, or choose with --all, --reason or --task, not both")
    from askonce.cli.letters import DeadLetters

    signed(note, NOTE_KEPT)
    done = failed = 0
    with unavailable():
        site = open_site()
        letters = DeadLetters(site)
        # A list, because the actions change what the store yields.
        matching = [] if ids else [(each.id, each) for each in letters.matching(task=task, reason=reason)]
        write_down(site.store, act, _in_words(ids, task, reason, len(matching)), note)
        for name, letter in letters.named(ids) if ids else matching:
            if letter is None:
                failed += _report_missing(name)
                continue
            outcome, ok = action(letter)
            done, failed = done + ok, failed + (not ok)
            words = {"id": letter.id, "outcome": outcome}
            echo(to_json(words) if as_json else f"{letter.id} {outcome}")
    echo(f"{done} done, {failed} not", err=True)
    sys.exit(Exit.FAILED if failed else Exit.OK)


def _in_words(ids: tuple[str, ...], task: str | None, reason: str | None, matching: int) -> str:
    """Return what the command line named, for the audit; of a choice also how many fit."""
    if ids:
        return in_few_words(ids, "dead letter")
    options = [f"--{name} {value}" for name, value in (("task", task), ("reason", reason)) if value]
    return f"{' '.join(options) or '--all'}: {counted(matching, 'dead letter')}"


def _report_missing(name: str) -> bool:
    echo(f"{name}: no dead letter has this ID, or more than one has", err=True)
    return True
