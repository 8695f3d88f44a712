"""``python -m producer dead``: what was given up, for a person to look at, to ask anew, or to forget.

An ID is a key (64 digits, or its first twelve at least) or a letter's number with a dash. Payloads are shown
by ``show --payload`` alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from producer.console import Exit, open_client, unavailable

if TYPE_CHECKING:
    from producer.letters import Grave

#: Shown at once, unless all are asked for.
PAGE = 100
CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def _choosing(command: CommandT) -> CommandT:
    """Add the options that choose among what was given up."""
    for option in (
        click.option("--task", help="Only this task's."),
        click.option("--reason", help="Only what was given up for this reason."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout."),
    ):
        command = option(command)
    return command


@click.group(
    epilog="Exit codes: 0 ok, 1 an ID that is none or one that was not sent, 2 usage, 69 unavailable,"
    " 78 configuration."
)
def dead() -> None:
    """List, replay or discard jobs in quarantine and messages that were no job."""


@dead.command("list")
@_choosing
@click.option("--all", "everything", is_flag=True, help=f"All of them, not the oldest {PAGE} only.")
def list_(*, task: str | None, reason: str | None, as_json: bool, everything: bool) -> None:
    """List what was given up, the oldest first: jobs in quarantine, then letters."""
    from producer.letters import Graves

    shown, more = 0, False
    with unavailable():
        for grave in Graves(open_client()).matching(task=task, reason=reason):
            if shown == PAGE and not everything:
                more = True
                break
            click.echo(json.dumps(grave.told()) if as_json else str(grave))
            shown += 1
    words = f"{shown} shown, there are more: --all shows them" if more else f"{shown} given up"
    click.echo(words, err=True)


@dead.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--payload", is_flag=True, help="Also what was asked; it may be personal data.")
def show(ids: tuple[str, ...], *, payload: bool) -> None:
    """Show everything that is known of each ID, as JSON."""
    from producer.letters import Graves

    failed = False
    with unavailable():
        for name, grave in Graves(open_client()).named(ids, payload=payload):
            failed |= _missing(name, grave)
            if grave is not None:
                click.echo(json.dumps(grave.told(payload=payload), ensure_ascii=False))
    sys.exit(Exit.FAILED if failed else Exit.OK)


@dead.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_choosing
@click.option("--all", "everything", is_flag=True, help="All of them, or all that the options choose.")
def replay(ids: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401  # click's
    """Ask anew for jobs, and send letters again; each leaves the list only once that is done."""
    _act("replay", ids, **options)


@dead.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_choosing
@click.option("--all", "everything", is_flag=True, help="All of them, or all that the options choose.")
def discard(ids: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401  # click's
    """Forget jobs, with their last good answers, and letters."""
    _act("discard", ids, **options)


def _act(  # one parameter for each option
    what: str, ids: tuple[str, ...], *, task: str | None, reason: str | None, as_json: bool, everything: bool
) -> None:
    if bool(ids) == (everything or bool(task or reason)):
        raise click.UsageError("name IDs, or choose with --all, --reason or --task, not both")
    from producer.letters import Graves

    done = failed = 0
    with unavailable():
        graves = Graves(open_client())
        chosen = graves.named(ids, payload=True) if ids else graves.chosen(task=task, reason=reason)
        for name, grave in chosen:
            if _missing(name, grave) or grave is None:
                failed += 1
                continue
            outcome, ok = graves.replay(grave) if what == "replay" else graves.discard(grave)
            done, failed = done + ok, failed + (not ok)
            click.echo(
                json.dumps({"id": grave.id, "outcome": outcome}) if as_json else f"{grave.id} {outcome}"
            )
    click.echo(f"{done} done, {failed} not", err=True)
    sys.exit(Exit.FAILED if failed else Exit.OK)


def _missing(name: str, grave: Grave | None) -> bool:
    if grave is None:
        click.echo(f"{name}: nothing that was given up has this ID, or more than one has", err=True)
    return grave is None
