"""Keeps what a schedule remembers in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from askonce.schedules import (
    LINES_KEPT,
    NOTE_KEPT,
    Decided,
    Due,
    Ended,
    EntryState,
    Line,
    Look,
    Slot,
    SlotDecision,
    decode,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from threading import Condition

    from askonce.runs import Fact
    from askonce.schedules import What


@dataclass(slots=True)
class _Kept:
    last: int | None = None
    open: Slot | None = None
    since: int = 0
    waiting: list[Slot] = field(default_factory=list)
    paused: str | None = None
    resumed: int = 0
    facts: bytes = b"{}"
    succeeded: int = 0
    forced: bool = False
    lines: list[Line] = field(default_factory=list)


class MemorySchedules:
    """The entries of one store, behind its lock."""

    def __init__(self, changed: Condition, now: Callable[[], float]) -> None:
        """Begin without any."""
        self._changed, self._clock = changed, now
        self._entries: dict[str, _Kept] = {}

    def look(self, entries: Sequence[str]) -> Look:
        """Return the time and what is known of these entries."""
        with self._changed:
            return Look(self._now(), {entry: _state(self._look(entry)) for entry in entries})

    def decide(self, entry: str, due: Due) -> Decided:
        """Decide each slot of *due*, once for all schedulers."""
        with self._changed:
            kept = self._keep(entry)
            has_begun = kept.last is not None
            noted = due.missed is not None and kept.last is not None and due.missed.last > kept.last
            if due.missed is not None and noted:
                self._note(kept, Slot(due.missed.first), "missed", due.missed.facts)
                kept.last = due.missed.last
            return Decided([self._decide(kept, each, due, has_begun=has_begun) for each in due.slots], noted)

    def _decide(self, kept: _Kept, slot: Slot, due: Due, *, has_begun: bool) -> SlotDecision:
        if slot == kept.open or slot in kept.waiting:
            return SlotDecision.KNOWN
        if not slot.by_hand:
            if has_begun and kept.last is not None and slot.at <= kept.last:
                return SlotDecision.KNOWN
            kept.last = slot.at if kept.last is None else max(kept.last, slot.at)
            if not has_begun:
                return SlotDecision.BEGUN
        if kept.paused is not None and not due.force:
            return self._refuse(kept, slot, SlotDecision.PAUSED, "paused")
        if kept.open is None and not kept.waiting:
            self._send(kept, slot)
            kept.forced = kept.paused is not None
            return SlotDecision.SEND
        if len(kept.waiting) >= due.waiting:
            return self._refuse(kept, slot, SlotDecision.SKIP, "skipped")
        kept.waiting.append(slot)
        self._note(kept, slot, "waits")
        return SlotDecision.WAIT

    def _refuse(self, kept: _Kept, slot: Slot, decided: SlotDecision, noted: What) -> SlotDecision:
        # A person sees at once what became of a slot by hand: it is noted where it fires.
        if not slot.by_hand:
            self._note(kept, slot, noted)
        return decided

    def ended(
        self,
        entry: str,
        slot: Slot,
        what: Literal["done", "failed"],
        facts: Mapping[str, Fact],
        pause: str = "",
    ) -> Ended:
        """End the slot under way, and begin the next one that waits."""
        encoded = encode(facts)
        with self._changed:
            if self._look(entry).open != slot:
                return Ended(was_open=False)
            kept = self._keep(entry)
            self._note(kept, slot, what, decode(encoded))
            kept.open, kept.since, kept.facts, kept.forced = None, 0, b"{}", False
            if what == "done":
                kept.succeeded = self._now()
            kept.paused = pause[:NOTE_KEPT] or kept.paused
            return Ended(was_open=True, begun=self._next(kept))

    def progress(self, entry: str, slot: Slot, facts: Mapping[str, Fact]) -> bool:
        """Keep how far the slot is."""
        encoded = encode(facts)
        with self._changed:
            kept = self._look(entry)
            if kept.open != slot:
                return False
            kept.facts = encoded
            return True

    def pause(self, entry: str, note: str) -> None:
        """Fire no slot of the entry any more."""
        with self._changed:
            kept = self._keep(entry)
            # Who pauses it again means a slot that was forced too.
            kept.paused, kept.forced = note[:NOTE_KEPT] or "paused", False

    def resume(self, entry: str) -> bool:
        """End the pause, and begin what waits."""
        with self._changed:
            kept = self._keep(entry)
            was_paused, kept.paused = kept.paused is not None, None
            kept.resumed += was_paused
            self._next(kept)
            return was_paused

    def history(self, entry: str) -> list[Line]:
        """Return what became of the last slots, the newest first."""
        with self._changed:
            return list(self._look(entry).lines)

    def _now(self) -> int:
        return round(self._clock() * 1000)

    def _look(self, entry: str) -> _Kept:
        return self._entries.get(entry) or _Kept()

    def _keep(self, entry: str) -> _Kept:
        return self._entries.setdefault(entry, _Kept())

    def _send(self, kept: _Kept, slot: Slot) -> None:
        kept.open, kept.since, kept.facts, kept.forced = slot, self._now(), b"{}", False
        self._note(kept, slot, "sent")

    def _next(self, kept: _Kept) -> Slot | None:
        if kept.open is not None or kept.paused is not None or not kept.waiting:
            return None
        begun = kept.waiting.pop(0)
        self._send(kept, begun)
        return begun

    def _note(self, kept: _Kept, slot: Slot, what: What, facts: Mapping[str, Fact] | None = None) -> None:
        kept.lines = [Line(slot, what, self._now(), facts or {}), *kept.lines][:LINES_KEPT]


def _state(kept: _Kept) -> EntryState:
    return EntryState(
        last=kept.last,
        open=kept.open,
        since=kept.since,
        waiting=tuple(kept.waiting),
        paused=kept.paused,
        resumed=kept.resumed,
        facts=decode(kept.facts),
        succeeded=kept.succeeded,
        forced=kept.forced,
    )
