"""Runs a slot: asks for what its entry's query finds, within the bounds of its policy.

    step: is the entry paused? ──► what ended? ──► the next payload: its turn? room under the ceiling? ──► ask
            │ yes                                                │ no           │ no
            └──────────────► leave the position, and be parked ◄─┴──────────────┘

A slot is a job that is parked between its steps: it holds no worker while it waits, and another worker goes
on where a killed one was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from askonce.errors import Cancelled, Configuration, PayloadInvalid, Postponed, StoreUnavailable
from askonce.events import EventType, emit
from askonce.line import one_line
from askonce.schedule.asking import Asked, Asking, Own, refusal
from askonce.schedule.ceiling import Ceiling, end_of, to_micros
from askonce.schedule.item import Item, Refused, Unusable
from askonce.schedule.position import Planned, Position
from askonce.schedule.queries import Times, found_by
from askonce.schedule.slots import after
from askonce.schedules import Slot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.attempt import Attempt
    from askonce.schedule.entry import Entry
    from askonce.schedule.item import Found
    from askonce.schedule.site import Facts, Site

#: Seconds that a step works at most: a worker that shuts down waits for it.
STEP: Final = 10.0
#: Seconds between two looks: at jobs in flight, at least and at most; at a paused entry, where each look is a
#: line in the log; at a server that is away.
LOOK, LONGEST_LOOK, PAUSED, AWAY = 1.0, 5.0, 10.0, 5.0
#: Seconds after which a step leaves its position, so that little is asked again after a kill.
_KEPT_EACH: Final = 1.0
#: Seconds: no wait is shorter.
_INSTANT: Final = 0.001
#: The words of what was not asked, because it cannot be.
_NOT_ASKED: Final = frozenset(("invalid", "refused"))
#: The words of what is answered by what is there: it costs nothing.
_ANSWERED: Final = frozenset(("hit", "negative"))
#: Characters of an entry's name in the name of a run, beside which the slot has room.
_NAME_IN_RUN: Final = 160


def run_slot(site: Site, entry: Entry, slot: str, attempt: Attempt) -> Facts:
    """Do one step of *slot*, the slot's name, of *entry*; return what came of it where that was the last one.

    Raises:
        Postponed: the slot goes on later.
        Configuration: the entry cannot be asked for; its ``note`` says why.
    """
    try:
        return _Slot(site, entry, slot, attempt).step()
    except Refused as refused:
        note = one_line(f"{entry.name}: {refused}")
        emit(site.listen, EventType.SCHEDULE_REFUSED, entry=entry.name, slot=slot, item="", reason=note)
        raise Configuration(refused.word, note=note) from None
    except StoreUnavailable:
        raise Postponed("store_unavailable", retry_after=AWAY) from None


class _Slot:
    """One step of one slot."""

    def __init__(self, site: Site, entry: Entry, slot: str, attempt: Attempt) -> None:
        self._site, self._entry, self._attempt = site, entry, attempt
        self._slot = Slot.named(slot)
        self._began = self._kept_at = site.clock()
        look = site.store.schedules.look([entry.name])
        self._store_began, self._state = look.now / 1000, look.states[entry.name]
        known = Position.decode(attempt.reference)
        self._position = known or Position(self._store_began)
        # The last step was cut off; or what is left of it cannot be read.
        self._repeats = self._position.asking or bool(attempt.reference and not known)
        self._asking = Asking(site, entry, slot, repeats=self._repeats)
        self._position.asking = False
        most = entry.policy.max_cost
        self._ceiling = None if most is None else Ceiling(to_micros(most), self._position)
        if self._ceiling is None:
            # Nobody follows them any more, where a deployment took the ceiling away.
            self._position.flight.clear()
        #: Whether this step found anything to do.
        self._is_idle = True

    def step(self) -> Facts:
        """Ask for what is due; see ``run_slot``."""
        if not self._attempt.reference:
            self._keep()
        self._rest_while_paused()
        # In this order: what was planned costs, also where a deployment has changed the query since.
        self._recall_planned()
        self._position.go_on_with(self._entry.query)
        self._settle()
        items = self._found().items(self._position.mark)
        for item in items:
            if not self._entry.policy.dry_run:
                self._wait_for_place(item, items)
            self._take(item)
            self._look_up()
        if self._position.flight:
            self._wait_for_ends()
        self._require_one_asked()
        return self._facts()

    def _require_one_asked(self) -> None:
        """Refuse a slot of which nothing could be asked: an entry with a wrong field is no success."""
        counts = self._position.counts
        if counts and not counts.keys() - _NOT_ASKED:
            raise Refused("all_refused", f"all {counts.total()} that it found were refused")

    def _found(self) -> Found:
        at = self._slot.at
        period = (after(self._entry.at, at) - at) / 1000
        times = Times(at / 1000, self._position.began, period, self._now)
        run = f"{self._entry.name[:_NAME_IN_RUN]} {self._slot.name}"
        return found_by(self._entry.query, self._site, times, run)

    def _now(self) -> float:
        """Return the store's time, in seconds since 1970."""
        return self._store_began + self._site.clock() - self._began

    @property
    def _left(self) -> float:
        return STEP - (self._site.clock() - self._began)

    def _rest_while_paused(self) -> None:
        is_forced = self._state.forced and self._state.open == self._slot
        if self._state.paused is not None and not is_forced:
            self._go_on("paused", PAUSED)
        held, self._position.held = self._position.held, None
        if held is not None and self._state.resumed > held and self._ceiling is not None:
            self._ceiling.begin_anew()

    def _go_on(self, reason: str, rest: float) -> NoReturn:
        """Leave the position, and be parked for *rest* seconds."""
        # A whole step asks for more than a killed one did since it left its position; a shorter one may not.
        self._position.asking = self._repeats and self._left > 0
        self._keep()
        self._site.store.schedules.progress(self._entry.name, self._slot, self._facts())
        raise Postponed(reason, retry_after=rest)

    def _keep(self) -> None:
        self._kept_at = self._site.clock()
        self._attempt.checkpoint(self._position.encode())

    def _look_up(self) -> None:
        """Between two payloads: keep the position once in a while, and end the step in time."""
        if self._attempt.is_cancelled():
            raise Cancelled("cancelled")
        if self._left <= 0:
            self._go_on("goes_on", LOOK)
        if self._site.clock() - self._kept_at >= _KEPT_EACH:
            self._keep()

    def _wait_for_place(self, item: Item | Unusable, items: Iterator[Item | Unusable]) -> None:
        """Wait for a turn, and for room under the ceiling, unless *item* takes neither."""
        has_turn = self._position.due <= self._now()
        if (has_turn and self._has_room()) or self._is_answered(item):
            return
        self._wait_for_turn()
        self._wait_for_room(items)

    def _is_answered(self, item: Item | Unusable) -> bool:
        """Whether asking for *item* makes no job; not one where nobody can know that."""
        if isinstance(item, Unusable):
            return True
        try:
            return self._asking.look_at(item).word in _ANSWERED
        except PayloadInvalid:
            return True

    def _wait_for_turn(self) -> None:
        """Wait until the rate allows one more job: for less than a second in the worker, else parked."""
        while (rest := self._position.due - self._now()) > 0:
            if rest >= LOOK or rest > self._left:
                self._go_on("goes_on", rest)
            self._site.wait(max(rest, _INSTANT))

    def _wait_for_room(self, items: Iterator[Item | Unusable]) -> None:
        """Wait until the ceiling has room for one more job; where it never has, pause the entry."""
        if self._has_room():
            return
        self._settle()
        if self._has_room():
            return
        if self._position.flight:
            self._wait_for_ends()
        asked = self._position.counts.total()
        whole = self._count_rest(items)
        of = f" of {asked + 1 + whole}" if whole is not None else ""
        too_dear = self._ceiling.too_dear if self._ceiling is not None else None
        why = f"; a single job cost {too_dear / 1e6:.12g} USD" if too_dear is not None else ""
        self._hold(f"cost ceiling {self._entry.policy.max_cost:.12g} USD reached, {asked}{of} asked{why}")

    def _has_room(self) -> bool:
        return self._ceiling is None or self._ceiling.has_room

    def _count_rest(self, items: Iterator[Item | Unusable]) -> int | None:
        """Return how many *items* are left; None where to count them takes too long."""
        count = 0
        for _ in items:
            count += 1
            if self._left <= 0:
                return None
        return count

    def _wait_for_ends(self) -> NoReturn:
        """Be parked until jobs of the slot have ended: longer each time where none has."""
        self._position.idle = self._position.idle + 1 if self._is_idle else 0
        self._go_on("goes_on", min(LONGEST_LOOK, LOOK * 2**self._position.idle))

    def _hold(self, note: str) -> NoReturn:
        """Pause the entry, and this slot with it, until a person resumes it."""
        # In this order: after a kill in between, only a person who resumed the entry gives more to spend.
        self._position.held = self._state.resumed
        self._keep()
        self._site.store.schedules.pause(self._entry.name, note)
        emit(self._site.listen, EventType.SCHEDULE_PAUSED, entry=self._entry.name, note=note)
        self._go_on("held", PAUSED)

    def _recall_planned(self) -> None:
        """Find out whether a worker that was killed had enqueued what it was about to."""
        planned, self._position.planned = self._position.planned, None
        if planned is not None and self._site.store.read([planned.key])[0].job == planned.job:
            self._count_own(Own(planned.job, planned.key))
            self._position.counts["admitted"] += 1
            self._position.mark = planned.mark
            self._asking.forget_letter(planned.letter, planned.key)

    def _settle(self) -> None:
        """Count what the jobs cost that have ended."""
        flight, ceiling = self._position.flight, self._ceiling
        if not flight or ceiling is None:
            return
        ceiling.repeated, is_known = 0, True
        records = self._site.store.read(list(flight.values()))
        for (job, _), record in zip(list(flight.items()), records, strict=True):
            ended = end_of(job, record)
            if ended is None:
                ceiling.repeated += max(0, record.attempts - 1)
                continue
            del flight[job]
            self._is_idle = False
            self._position.ends[ended.word] += 1
            is_known &= ceiling.count(ended)
        if not is_known:
            self._hold(f"what a call of {self._entry.query.task} costs is unknown, and max_cost is set")

    def _take(self, item: Item | Unusable) -> None:
        """Ask for *item*, and go on behind it."""
        asked = self._ask(item)
        if asked.refused:
            where = {"entry": self._entry.name, "slot": self._slot.name, "item": item.place}
            emit(self._site.listen, EventType.SCHEDULE_REFUSED, **where, reason=asked.refused)
        if asked.own is not None:
            self._count_own(asked.own)
        self._is_idle = False
        self._position.counts[asked.word] += 1
        self._position.mark, self._position.planned = item.mark, None
        if not asked.is_sent:
            self._go_on("broker_unavailable", AWAY)

    def _ask(self, item: Item | Unusable) -> Asked:
        if isinstance(item, Unusable):
            return Asked("invalid", refused=f"{item.field} {item.reason}".strip())
        try:
            if self._entry.policy.dry_run:
                return self._asking.try_out(item)
            own = self._asking.own(item)
        except PayloadInvalid as invalid:
            return refusal(invalid)
        is_first, self._position.asking = not self._position.asking, True
        if self._ceiling is not None:
            # Before the call: a killed worker must not leave a job behind whose cost nobody counts.
            self._position.planned = Planned(*own, item.mark, item.letter)
        if is_first or self._ceiling is not None:
            self._keep()
        return self._asking.ask(item, own)

    def _count_own(self, own: Own) -> None:
        """Count a job of this slot: its turn was taken, and its cost is to come."""
        rate = self._entry.policy.rate
        if rate is not None:
            self._position.due = max(self._position.due, self._now()) + 1 / rate
        if self._ceiling is not None:
            self._position.flight[own.job] = own.key

    def _facts(self) -> Facts:
        position = self._position
        asked = {} if self._entry.policy.dry_run else {"asked": position.counts.total()}
        cost = {} if self._ceiling is None else {"cost_usd": position.spent / 1e6}
        unknown = {"unknown_costs": position.unknown} if position.unknown else {}
        return {**asked, **position.counts, **position.ends, **cost, **unknown}
