"""Fires the slots of all entries: the same in every scheduler, because the store decides each slot once.

    tick: look ──► decide what is due ──► enqueue the jobs of slots under way that have none
                                     └──► end the slots whose jobs have ended

A scheduler may die between any two steps: each other one goes on at its next tick, so none is special.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, assert_never

from askonce.errors import LayoutNewer, RecordDamaged, SendFailed, StoreUnavailable
from askonce.events import EventType, Listener, emit, ignore
from askonce.key import identify
from askonce.schedule.ending import end, facts_of
from askonce.schedule.slots import after, latest, passed
from askonce.schedules import Due, Missed, Slot, SlotDecision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.job import Key
    from askonce.outcomes import Outcome
    from askonce.record import Snapshot
    from askonce.runs import Fact
    from askonce.schedule.ending import How
    from askonce.schedule.entry import Entry
    from askonce.schedules import EntryState, Look
    from askonce.spec import JobSpec
    from askonce.store import Store

#: Seconds between two ticks at most: a slot fires so long after its time, and a dead scheduler's is enqueued.
LONGEST_TICK: Final = 5.0
#: Seconds: an older slot passed while no scheduler ran. A scheduler may miss one tick.
LATE: Final = 10.0
#: Seconds by which the clock of a host may differ from the store's.
CLOCK_OFF: Final = 5.0

_after = lru_cache(maxsize=1024)(after)


def payload_of(entry: str, slot: Slot) -> dict[str, str]:
    """Return the payload of the job that a slot is; both are its key."""
    return {"entry": entry, "slot": slot.name}


def due(entry: Entry, last: int | None, now: int) -> Due | None:
    """Return what is due by *now*, in milliseconds, where *last* is the latest slot that was decided.

    Nothing fires at the first start of an entry. None: no slot came since *last*.
    """
    if last is None:
        return Due((Slot(latest(entry.at, now)),))
    if now < _after(entry.at, last):
        return None
    waiting = _waiting(entry)
    slots, has_older = passed(entry.at, last, now)
    match entry.policy.catch_up:
        case "once":
            fire = slots[-1:]
        case "all":
            fire = slots
            # They wait for each other, also where a slot that comes meanwhile is skipped.
            waiting = len(slots) if len(slots) > 1 else waiting
        case "never":
            fire = tuple(slot for slot in slots[-1:] if now - slot <= LATE * 1000)
        case _:
            assert_never(entry.policy.catch_up)
    left = slots[: len(slots) - len(fire)]
    missed = Missed(_after(entry.at, last), left[-1], None if has_older else len(left)) if left else None
    if missed is None and has_older:
        missed = Missed(_after(entry.at, last), latest(entry.at, fire[0] - 1))
    return Due(tuple(map(Slot, fire)), waiting, missed)


def by_hand(entry: Entry, now: int, *, force: bool = False) -> Due:
    """Return what a person who starts a slot of *entry* now has decided; *force*: also while it is paused."""
    return Due((Slot(now, by_hand=True),), _waiting(entry), force=force)


def _waiting(entry: Entry) -> int:
    """Return how many slots may wait behind the one under way."""
    match entry.policy.overlap:
        case "skip":
            return 0
        case "queue_one":
            return 1
    assert_never(entry.policy.overlap)


@dataclass(kw_only=True)
class Firing:
    """One scheduler's part in firing the slots of *entries*."""

    entries: Mapping[str, Entry]
    store: Store
    #: The terms of the job that a slot is.
    spec: JobSpec
    #: Enqueues that job.
    enqueue: Callable[[Mapping[str, object]], Outcome]
    listen: Listener = ignore
    #: Seconds since 1970, by the clock of this host: it decides nothing, and is compared with the store's.
    clock: Callable[[], float] = time.time
    _is_away: bool = field(default=False, init=False)
    _clock_off: float = field(default=0.0, init=False)

    def tick(self) -> float:
        """Fire what is due; return the seconds until the next slot, LONGEST_TICK at most."""
        try:
            look = self.store.schedules.look(list(self.entries))
            self._compare_clocks(look)
            sent = {
                name: self._decide(self.entries[name], state, look) for name, state in look.states.items()
            }
            self._go_on(look, sent)
        except StoreUnavailable as away:
            # What is due now is caught up with when the store is back, as each entry's policy says.
            if not self._is_away:
                emit(self.listen, EventType.SCHEDULE_AWAY, reason=away.reason)
            self._is_away = True
            return LONGEST_TICK
        if self._is_away:
            emit(self.listen, EventType.SCHEDULE_BACK)
        self._is_away = False
        return self._rest(look)

    def _rest(self, look: Look) -> float:
        to_come = [_after(entry.at, latest(entry.at, look.now)) - look.now for entry in self.entries.values()]
        return min([LONGEST_TICK, *(milliseconds / 1000 for milliseconds in to_come)])

    def _compare_clocks(self, look: Look) -> None:
        """Say once that the clock of this host differs from the store's, and once that it does no more."""
        off = self.clock() - look.now / 1000
        if abs(off - self._clock_off) > CLOCK_OFF:
            self._clock_off = off
            emit(self.listen, EventType.SCHEDULE_CLOCK_OFF, seconds=round(off, 1))

    def _decide(self, entry: Entry, state: EntryState, look: Look) -> Slot | None:
        """Decide what is due of *entry*; return the slot that this scheduler is to enqueue."""
        found = due(entry, state.last, look.now)
        if found is None:
            return None
        decided = self.store.schedules.decide(entry.name, found)
        if found.missed is not None and decided.noted:
            first, until = Slot(found.missed.first).name, Slot(found.missed.last).name
            emit(self.listen, EventType.SCHEDULE_MISSED, entry=entry.name, slot=first, until=until)
        send = None
        for slot, decision in zip(found.slots, decided.slots, strict=True):
            match decision:
                case SlotDecision.SEND:
                    send = slot
                case SlotDecision.SKIP | SlotDecision.PAUSED:
                    about = {"entry": entry.name, "slot": slot.name, "reason": decision.value}
                    emit(self.listen, EventType.SCHEDULE_SKIPPED, **about)
                case SlotDecision.WAIT | SlotDecision.KNOWN | SlotDecision.BEGUN:
                    pass
                case _:
                    assert_never(decision)
        return send

    def _go_on(self, look: Look, sent: Mapping[str, Slot | None]) -> None:
        """Enqueue the jobs of new slots, and of slots under way whose scheduler died before it did."""
        for name, slot in sent.items():
            if slot is not None:
                self.send(name, slot)
        under_way = [(name, state) for name, state in look.states.items() if state.open is not None]
        keys = [self._key(name, state.open) for name, state in under_way if state.open is not None]
        for (name, state), record in zip(under_way, self.store.read(keys), strict=True):
            if state.open is not None:
                self._follow(name, state.open, look.now - state.since, record)

    def _follow(self, name: str, slot: Slot, milliseconds: int, record: Snapshot) -> None:
        """Enqueue or end the slot under way since *milliseconds*, by the record of its job."""
        if isinstance(record.error, LayoutNewer) or (record.error is None and record.flight != "idle"):
            return
        if record.value is not None:
            self._end(name, slot, "done", facts_of(record.value))
        elif record.failure is not None:
            self._end(name, slot, "failed", {"reason": record.failure.reason})
        elif record.error is not None:
            self._end(name, slot, "failed", {"reason": "record_damaged"})
        elif record.present:
            self._end(name, slot, "failed", {"reason": "ended"})
        elif milliseconds > self.spec.hard_ttl * 1000:
            # Its answer was kept for so long: the job may have ended while no scheduler ran.
            self._end(name, slot, "failed", {"reason": "forgotten"})
        else:
            self.send(name, slot)

    def _end(self, name: str, slot: Slot, what: How, facts: Mapping[str, Fact]) -> None:
        begun = end(self.store.schedules, self.entries[name], slot, what, facts, self.listen)
        if begun is not None:
            self.send(name, begun)

    def send(self, name: str, slot: Slot) -> None:
        """Enqueue the job of a slot; equal ones are one job.

        Raises:
            StoreUnavailable: it is enqueued at a later tick.
        """
        try:
            self.enqueue(payload_of(name, slot))
        except (LayoutNewer, RecordDamaged):
            # Nothing was enqueued: the next tick sees what the record is.
            return
        except SendFailed:
            # The record has the job: the reaper sends its message.
            pass
        emit(self.listen, EventType.SCHEDULE_SENT, entry=name, slot=slot.name)

    def _key(self, name: str, slot: Slot) -> Key:
        return identify(self.spec, payload_of(name, slot)).key
