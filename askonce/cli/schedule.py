"""``schedule``: shows what fires when and what became of it, starts a slot, pauses and resumes entries."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, assert_never

import click

from askonce.cli.exits import Exit, unavailable
from askonce.cli.printed import echo, to_json
from askonce.cli.signed import signed, write_down
from askonce.cli.site import open_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.schedule.entry import Entry
    from askonce.schedule.firing import Firing
    from askonce.schedules import EntryState, Line, SlotDecision

#: Slots of each entry that ``next`` shows without -n, and at most.
SHOWN, MOST = 5, 1_000

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
_NOTE = click.option("--note", default="", metavar="TEXT", help="Why; the audit keeps it.")


@click.group()
def schedule() -> None:
    """List the entries of the schedule, start one now, hold one back, or see what became of its slots."""


@schedule.command("list")
@_JSON
def list_(*, as_json: bool) -> None:
    """List the entries: when they fire next, what is under way, why one is paused, the last success."""
    with unavailable():
        firing = open_site().firing()
        now, states = firing.store.schedules.look(list(firing.entries))
    shown = [_shown(entry, states[name], now) for name, entry in firing.entries.items()]
    for line in map(to_json, shown) if as_json else _table(shown, left=7):
        echo(line)
    _say_if_none(firing)


@schedule.command("next")
@click.argument("name", required=False)
@click.option("-n", "most", type=click.IntRange(1, MOST), default=SHOWN, show_default=True, help="So many.")
@_JSON
def next_(name: str | None, *, most: int, as_json: bool) -> None:
    """Show the next slots of the entry NAME, or of each, by the store's clock."""
    with unavailable():
        firing = open_site().firing()
        entries = [_entry(firing, name)] if name is not None else list(firing.entries.values())
        now = firing.store.schedules.look([]).now
    shown = [each for entry in entries for each in islice(_to_come(entry, now), most)]
    shown.sort(key=lambda each: each["slot"])
    for line in map(to_json, shown) if as_json else _table(shown, left=3):
        echo(line)
    _say_if_none(firing)


@schedule.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Although the entry is paused, and stays so.")
@_NOTE
def run(name: str, *, force: bool, note: str) -> None:
    """Start a slot of the entry NAME now, beside those of its times; its policy holds all the same."""
    from askonce.controls import NOTE_KEPT
    from askonce.schedule.firing import by_hand

    signed(note, NOTE_KEPT)
    with unavailable():
        firing = open_site().firing()
        entry = _entry(firing, name)
        look = firing.store.schedules.look([name])
        due = by_hand(entry, look.now, force=force)
        write_down(firing.store, "run", f"schedule {name}", note)
        [decision] = firing.store.schedules.decide(name, due).slots
        [slot] = due.slots
        if is_sent := _is_sent(decision):
            firing.send(name, slot)
        state = firing.store.schedules.look([name]).states[name]
    if is_sent:
        echo(f"{name}: slot {slot.name} is under way")
        return
    why, code = _why_not(decision, name, state)
    echo(why, err=True)
    sys.exit(code)


@schedule.command()
@click.argument("name")
@_NOTE
def pause(name: str, *, note: str) -> None:
    """Fire no slot of the entry NAME any more, until it is resumed; the slot under way rests too."""
    from askonce.schedules import NOTE_KEPT

    whole = signed(note, NOTE_KEPT)
    with unavailable():
        firing = open_site().firing()
        _entry(firing, name)
        write_down(firing.store, "pause", f"schedule {name}", note)
        firing.store.schedules.pause(name, whole)
    echo(f"paused {name}: {whole}")


@schedule.command()
@click.argument("name")
@_NOTE
def resume(name: str, *, note: str) -> None:
    """Let the entry NAME fire again; slots that passed while it was paused do not."""
    from askonce.schedules import NOTE_KEPT

    signed(note, NOTE_KEPT)
    with unavailable():
        firing = open_site().firing()
        _entry(firing, name)
        write_down(firing.store, "resume", f"schedule {name}", note)
        was_paused = firing.store.schedules.resume(name)
    if not was_paused:
        echo(f"{name} is not paused", err=True)
        sys.exit(Exit.FAILED)
    echo(f"resumed {name}")


@schedule.command()
@click.argument("name")
@_JSON
def history(name: str, *, as_json: bool) -> None:
    """Show what became of the last slots of the entry NAME, the newest first."""
    with unavailable():
        firing = open_site().firing()
        _entry(firing, name)
        lines = firing.store.schedules.history(name)
    shown = [_shown_line(line) for line in lines]
    for line in map(to_json, shown) if as_json else _table(shown, left=4):
        echo(line)
    if not lines:
        echo(f"{name} has had no slot", err=True)


def _entry(firing: Firing, name: str) -> Entry:
    """Return the entry of this name; end the command with a usage error where there is none."""
    entry = firing.entries.get(name)
    if entry is None:
        known = ", ".join(map(repr, sorted(firing.entries))) or "none"
        raise click.UsageError(f"unknown entry {name!r}; there are: {known}")
    return entry


def _say_if_none(firing: Firing) -> None:
    if not firing.entries:
        echo("this application has no schedule", err=True)


def _is_sent(decision: SlotDecision) -> bool:
    from askonce.schedules import SlotDecision

    # Known: the store decided it, and its reply was lost.
    return decision in (SlotDecision.SEND, SlotDecision.KNOWN)


def _why_not(decision: SlotDecision, name: str, state: EntryState) -> tuple[str, Exit]:
    from askonce.schedules import SlotDecision

    first, *_ = [each.name for each in (state.open, *state.waiting) if each is not None] or ["another slot"]
    match decision:
        case SlotDecision.WAIT:
            return f"{name}: waits until {first} has ended", Exit.OK
        case SlotDecision.SKIP if state.open is None and state.paused is not None and state.waiting:
            return f"{name}: nothing was started: {first} waits until the entry is resumed", Exit.FAILED
        case SlotDecision.SKIP:
            return f"{name}: nothing was started: {first} is under way", Exit.FAILED
        case SlotDecision.PAUSED:
            return f"{name} is paused: {state.paused}; --force starts it all the same", Exit.FAILED
        case SlotDecision.SEND | SlotDecision.KNOWN | SlotDecision.BEGUN:
            raise AssertionError("a slot by hand that is sent is under way")
    assert_never(decision)


def _to_come(entry: Entry, now: int) -> Iterator[dict[str, str]]:
    from askonce.schedule.slots import Cron, after
    from askonce.schedules import Slot

    slot = now
    while True:
        try:
            slot = after(entry.at, slot)
        except OverflowError:  # the last one that a calendar knows
            return
        local = _on_wall(slot, entry.at.zone) if isinstance(entry.at, Cron) and entry.at.zone != "UTC" else ""
        yield {"slot": Slot(slot).name, "entry": entry.name, "local": local}


def _on_wall(slot: int, zone: str) -> str:
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    local = datetime.fromtimestamp(slot / 1000, UTC).astimezone(ZoneInfo(zone))
    return f"{local.isoformat(timespec='minutes')} {zone}"


def _shown(entry: Entry, state: EntryState, now: int) -> dict[str, object]:
    from askonce.schedule.slots import after
    from askonce.schedules import Slot

    return {
        "entry": entry.name,
        "task": entry.query.task,
        "next": Slot(after(entry.at, now)).name,
        "under_way": state.open.name if state.open is not None else None,
        "since": _moment(state.since),
        "succeeded": _moment(state.succeeded),
        "paused": state.paused,
        "waiting": len(state.waiting) or None,
        "facts": dict(state.facts),
    }


def _shown_line(line: Line) -> dict[str, object]:
    return {"slot": line.slot.name, "what": line.what, "at": _moment(line.at), "facts": dict(line.facts)}


def _moment(milliseconds: int) -> str | None:
    from askonce.cli.moments import moment

    return moment(milliseconds / 1000) if milliseconds else None


def _with_words(shown: dict[str, object]) -> dict[str, object]:
    """Return *shown* with its facts as words, for people."""
    facts = shown.get("facts")
    words = " ".join(f"{name}={value}" for name, value in facts.items()) if isinstance(facts, dict) else ""
    return {**shown, "facts": words}


def _table(shown: Sequence[dict[str, object]] | Sequence[dict[str, str]], *, left: int) -> list[str]:
    from askonce.cli.table import Table, room_of_stdout
    from askonce.line import one_line

    if not shown:
        return []
    rows = [_with_words(dict(each)) for each in shown]
    cells = [[one_line(str("" if value is None else value)) for value in each.values()] for each in rows]
    # Whoever may write to the store may write a note or a fact.
    return Table([list(rows[0]), *cells], names=1, left=left, optional=2).fitted(room_of_stdout())[0]
