"""``queue``: shows how long the broker's queues are and what waits in them, and deletes what waits."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import click

from askonce.cli.counted import counted
from askonce.cli.exits import Exit, unavailable
from askonce.cli.printed import echo, to_json
from askonce.cli.signed import signed, write_down
from askonce.cli.site import open_site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.announcements import Announcement
    from askonce.cli.site import Site
    from askonce.job import Key
    from askonce.queues import Queue, Queues, Waiting

#: Messages that a peek shows without -n, and at most: each is read whole.
PAGE, MOST = 10, 1_000
#: Digits of a key in a table.
_DIGITS = 16


@click.group()
def queue() -> None:
    """List the queues, look at the next messages of one, or delete what waits in it."""


@queue.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
def list_(*, as_json: bool) -> None:
    """List the queues of the application and those in use: lengths, oldest message, workers, pauses.

    A queue of no living worker is shown while messages wait in it.
    """
    from askonce.controls import note_of_queue

    with unavailable():
        site = open_site()
        workers, pauses = site.store.announcements.workers(), site.store.controls.pauses()
        with site.queues() as queues:
            taken = {*queues.names, *(name for each in workers for name in each.queues)}
            names = sorted(taken | site.store.used_queues().keys())
            found = [each for each in queues.look(names) if each.name in taken or each.messages]
    shown = [_shown(each, workers, note_of_queue(pauses, [each.name])) for each in found]
    for line in [to_json(each) for each in shown] if as_json else _table(shown):
        echo(line)
    if any(each.messages and each.next is None for each in found):
        text = "a message is shown by no broker but Redis, and to a user only who may read its queue"
        echo(f"oldest_seconds is not known of each queue: {text}", err=True)
    if any(not each.whole for each in workers):
        echo("a worker takes more queues than it could announce", err=True)


@queue.command()
@click.argument("name")
@click.option("-n", "most", type=click.IntRange(1, MOST), default=PAGE, show_default=True, help="So many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
def peek(name: str, *, most: int, as_json: bool) -> None:
    """Show the next messages of the queue NAME, and how their jobs stand; never a payload."""
    with unavailable():
        site = open_site()
        with site.queues() as queues:
            messages = queues.peek(name, most)
            known = _is_known(site, queues, name)
        if messages is None:
            text = "this broker shows a message only by a delivery, which it counts: jobs list shows the jobs"
            echo(text, err=True)
            sys.exit(Exit.FAILED)
        shown = _with_states(site, messages)
    for line in [to_json(each) for each in shown] if as_json else _table(shown):
        echo(line)
    echo(f"{len(shown)} shown", err=True)
    if not shown and not known:
        echo(f"{name}: no queue of the application or in use has this name", err=True)
        sys.exit(Exit.FAILED)


@queue.command()
@click.argument("name")
@click.option("--cancel", "ends", is_flag=True, help="Also end the jobs that wait in the queue.")
@click.option("--dry-run", is_flag=True, help="Count, and delete nothing.")
@click.option("--note", default="", metavar="TEXT", help="Why; the audit keeps it.")
def purge(name: str, *, ends: bool, dry_run: bool, note: str) -> None:
    """Delete the messages that wait in the queue NAME.

    The jobs stay: workers send their messages again after the queue deadline, unless --cancel ends them.
    Messages that askonce did not send are gone.
    """
    from askonce.controls import NOTE_KEPT

    signed(note, NOTE_KEPT)
    with unavailable():
        site = open_site()
        with site.queues() as queues:
            [there] = queues.look([name])
            if there.messages is None or not (there.messages or _is_known(site, queues, name)):
                echo(f"{name}: the broker has no such queue, or does not show it", err=True)
                sys.exit(Exit.FAILED)
            # Before the purge: afterwards a job looks the same, whether or not it had a message.
            keys = _waiting_in(site, name) if ends else []
            if dry_run:
                jobs = f", {counted(len(keys), 'job')} would end" if ends else ""
                echo(f"--dry-run: {counted(there.messages, 'message')} would be deleted{jobs}")
                return
            write_down(site.store, "purge", f"{name} --cancel" if ends else name, note)
            deleted = queues.purge(name)
        ended = _end(site, keys)
        echo(f"{counted(deleted, 'message')} deleted{_in_words(ended) if ends else ''}")
    if deleted and not ends:
        text = "their jobs stay: each is sent again after its queue deadline; purge --cancel ends them"
        echo(text, err=True)
    sys.exit(Exit.FAILED if ended["unreadable"] else Exit.OK)


def _is_known(site: Site, queues: Queues, name: str) -> bool:
    """Return whether the application has a queue of this *name*, or a queue in use has it."""
    return name in queues.names or name in site.store.used_queues()


def _shown(found: Queue, workers: Sequence[Announcement], paused: str | None) -> dict[str, object]:
    taking = [each for each in workers if found.name in each.queues]
    return {
        "queue": found.name,
        "messages": found.messages,
        "priorities": {str(number): count for number, count in found.priorities},
        "oldest_seconds": _age(found.next) if found.next is not None else None,
        "workers": len(taking),
        "slots": sum(each.slots for each in taking),
        "paused": paused,
    }


def _age(message: Waiting) -> int | None:
    """Return for how long *message* has waited, in seconds; the store's clock may be ahead of this one."""
    return max(0, round(time.time() - message.sent_at / 1000)) if message.sent_at else None


def _with_states(site: Site, messages: Sequence[Waiting]) -> list[dict[str, object]]:
    """Return each message with the state of its job: the message of a job that is over does nothing."""
    from askonce.cli.keys import is_key
    from askonce.cli.standing import state_of
    from askonce.job import Key

    keys = list(dict.fromkeys(Key(each.key) for each in messages if is_key(each.key)))
    states = dict(zip(keys, map(state_of, site.store.flights.show(keys)), strict=True))
    return [
        {
            "task": each.task,
            "key": each.key,
            "state": states[Key(each.key)].value if each.key in states else None,
            "waits_seconds": _age(each),
            "tenant": each.tenant,
            "run": each.run,
            "priority": each.priority,
            "id": each.id,
            "bytes": each.size,
        }
        for each in messages
    ]


def _waiting_in(site: Site, name: str) -> list[Key]:
    """Return the jobs whose message is, or should be, in the queue *name*."""
    from askonce.cli.listed import Wanted, indexed_keys, jobs_of
    from askonce.cli.standing import State
    from askonce.cli.working import working

    keys = indexed_keys(site.store, Wanted(frozenset({State.QUEUED})))
    with working("looked at", keys.total) as report:
        return [
            job.key
            for job in jobs_of(site.store, keys, report)
            if job.record.flight == "queued"
            and job.record.wait <= 0
            and job.record.routing is not None
            and job.record.routing.queue == name
        ]


def _end(site: Site, keys: Sequence[Key]) -> Counter[str]:
    """End the jobs of *keys*; return how many met which end."""
    from askonce.cancel import cancel_keys

    return Counter(ended.value for _, ended in cancel_keys(site.store, keys))


def _in_words(ended: Counter[str]) -> str:
    counts = (f", {counted(count, 'job')} {what}" for what, count in sorted(ended.items()))
    return "".join(counts) or ", no job waited"


def _table(shown: Sequence[dict[str, object]]) -> list[str]:
    """Return dictionaries of the same names as a table; what is unknown is a dash."""
    from askonce.cli.table import Table, room_of_stdout
    from askonce.line import one_line

    if not shown:
        return []
    heads = list(shown[0])
    rows = [[_cell(name, value) for name, value in each.items()] for each in shown]
    # Whoever may write to the queue chooses what stands in a message.
    table = Table([heads, *([one_line(cell) for cell in row] for row in rows)], names=2, left=len(heads))
    return table.fitted(room_of_stdout())[0]


def _cell(name: str, value: object) -> str:
    if isinstance(value, dict):
        # One priority, the usual one, is no news.
        return ", ".join(f"{each}: {count}" for each, count in value.items()) if value.keys() - {"0"} else ""
    text = "-" if value is None and name != "paused" else str("" if value is None else value)
    return text[:_DIGITS] if name == "key" else text
