"""Keeps what a schedule remembers on Redis: one HASH for each entry, in the slot of bucket 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from askonce.errors import RecordDamaged, StoreUnavailable
from askonce.schedules import (
    ENTRY_KEPT,
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
    to_lines,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from askonce.adapters.redis.scripts import Scripts
    from askonce.runs import Fact

_KEPT = int(ENTRY_KEPT * 1000)
_DECISIONS = {decision.value.encode(): decision for decision in SlotDecision}


class RedisSchedules:
    """The entries of one namespace."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts = scripts

    def look(self, entries: Sequence[str]) -> Look:
        """Return the time and what is known of these entries."""
        # A script has a key at least: without entries it looks at one that nobody has.
        keys = tuple(map(self._key, entries)) or (self._key(""),)
        now, *found = self._run("schedule_look", keys)
        return Look(now, dict(zip(entries, map(_state, found), strict=False)))

    def decide(self, entry: str, due: Due) -> Decided:
        """Decide each slot of *due*, once for all schedulers."""
        missed = due.missed
        passed = ("", "", "") if missed is None else (missed.first, missed.last, encode(missed.facts))
        slots = (slot.token for slot in due.slots)
        args = (due.waiting, _KEPT, int(due.force), *passed, *slots)
        noted, decided = self._run("schedule_decide", (self._key(entry),), *args)
        return Decided([_DECISIONS[reply] for reply in decided], bool(noted))

    def ended(
        self,
        entry: str,
        slot: Slot,
        what: Literal["done", "failed"],
        facts: Mapping[str, Fact],
        pause: str = "",
    ) -> Ended:
        """End the slot under way, and begin the next one that waits."""
        args = (slot.token, what, encode(facts), pause[:NOTE_KEPT], _KEPT)
        was_open, begun = self._run("schedule_ended", (self._key(entry),), *args)
        return Ended(bool(was_open), Slot.of_token(begun.decode()) if begun else None)

    def progress(self, entry: str, slot: Slot, facts: Mapping[str, Fact]) -> bool:
        """Keep how far the slot is."""
        return bool(self._run("schedule_progress", (self._key(entry),), slot.token, encode(facts)))

    def pause(self, entry: str, note: str) -> None:
        """Fire no slot of the entry any more."""
        self._run("schedule_pause", (self._key(entry),), note[:NOTE_KEPT] or "paused", _KEPT)

    def resume(self, entry: str) -> bool:
        """End the pause, and begin what waits."""
        return bool(self._run("schedule_pause", (self._key(entry),), "", _KEPT))

    def history(self, entry: str) -> list[Line]:
        """Return what became of the last slots, the newest first."""
        [kept] = self._scripts.hashes([self._key(entry)])
        return to_lines(kept.get(b"log", b""))

    def _key(self, entry: str) -> str:
        return self._scripts.bucket_key(0, f"schedule:{entry}")

    def _run(self, verb: str, keys: tuple[str, ...], *args: bytes | str | int) -> Any:  # noqa: ANN401  # as the script returns
        try:
            [reply] = self._scripts.run_all(verb, [(keys, args)])
        except RecordDamaged as damaged:
            # No record, but an entry's hash: without it the store is of no use here.
            raise StoreUnavailable(verb=verb, reason=damaged.reason) from None
        return reply


def _state(parts: list[bytes | None]) -> EntryState:
    last, opened, since, wait, paused, resumed, facts, done, forced = parts
    return EntryState(
        last=None if last is None else int(last),
        open=None if opened is None else Slot.of_token(opened.decode()),
        since=int(since or 0),
        waiting=tuple(Slot.of_token(token.decode()) for token in (wait or b"").split()),
        paused=None if paused is None else paused.decode(errors="replace"),
        resumed=int(resumed or 0),
        facts=decode(facts or b"{}"),
        succeeded=int(done or 0),
        forced=forced is not None,
    )
