"""Ends slots: by the worker in which a slot's job ended, or by a scheduler that finds its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from askonce.answer import decode
from askonce.errors import AnswerUnreadable
from askonce.events import EventType, Listener, emit
from askonce.line import one_line
from askonce.schedules import NOTE_KEPT, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.answer import StoredValue
    from askonce.runs import Fact
    from askonce.schedule.entry import Entry
    from askonce.schedules import Schedules, Slot

How = Literal["done", "failed"]


def end(
    schedules: Schedules,
    entry: Entry,
    slot: Slot,
    what: How,
    facts: Mapping[str, Fact],
    listen: Listener,
) -> Slot | None:
    """End *slot*; return the slot that begins in its place, whose job is to be enqueued.

    The *entry* pauses where its policy says so of a failure.

    Raises:
        StoreUnavailable: a scheduler ends it at a later tick.
    """
    pauses = what == "failed" and entry.policy.pause_on_failure
    note = one_line(f"{slot.name} failed: {facts.get('reason', '')}")[:NOTE_KEPT] if pauses else ""
    ended = schedules.ended(entry.name, slot, what, _kept(facts), pause=note)
    if not ended.was_open:
        return None
    emit(listen, EventType.SCHEDULE_ENDED, entry=entry.name, slot=slot.name, outcome=what)
    if note:
        emit(listen, EventType.SCHEDULE_PAUSED, entry=entry.name, note=note)
    return ended.begun


def facts_of(stored: StoredValue) -> dict[str, Fact]:
    """Return what the answer of a slot's job says; nothing where this process cannot read it."""
    try:
        value = decode(stored.data)
    except AnswerUnreadable:
        return {}
    return to_facts(value)


def to_facts(value: object) -> dict[str, Fact]:
    """Return the numbers and texts of the answer of a slot's job."""
    if not isinstance(value, dict):
        return {}
    return {
        str(name): fact
        for name, fact in value.items()
        if isinstance(fact, int | float | str) and not isinstance(fact, bool)
    }


def _kept(facts: Mapping[str, Fact]) -> Mapping[str, Fact]:
    """Return as many of *facts* as a history keeps, the first ones."""
    kept = dict(facts)
    while kept:
        try:
            encode(kept)
        except ValueError:
            kept.popitem()
        else:
            break
    return kept
