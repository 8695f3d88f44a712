"""The port to what a schedule remembers: for each entry, which slots were decided, and what became of them.

Any number of schedulers decide slots at the same time. The store decides each slot once, in one step, so that
none of them is the leader. What they remember is here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, Self, cast, get_args

import orjson

from askonce.runs import Fact, encode_facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What became of a slot; ``begun`` is none of them: the first start of an entry fires nothing.
What = Literal["sent", "waits", "skipped", "paused", "missed", "done", "failed"]
#: The history of an entry has so many lines.
LINES_KEPT: Final = 50
#: Bytes of the facts of one slot.
FACTS_KEPT: Final = 1_000
#: Characters of a note.
NOTE_KEPT: Final = 200
#: Seconds for which an entry is remembered after its last slot: a year, and what a leap year and a delay add.
ENTRY_KEPT: Final = 400 * 86_400.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_BY_HAND: Final = " by hand"


class Slot(NamedTuple):
    """One moment at which an entry is due, or at which a person started it."""

    #: Milliseconds since 1970, by the store's clock.
    at: int
    by_hand: bool = False

    @property
    def name(self) -> str:
        """Its time in UTC, such as ``2026-11-28T03:00:00Z``, and whether a person started it."""
        exact = "milliseconds" if self.at % 1000 else "seconds"
        time = (_EPOCH + self.at * _MILLISECOND).isoformat(timespec=exact).replace("+00:00", "Z")
        return time + _BY_HAND * self.by_hand

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the slot of this name.

        Raises:
            ValueError: no slot has it.
        """
        time = datetime.fromisoformat(name.removesuffix(_BY_HAND))
        if time.tzinfo is None:
            raise ValueError("a slot is named by its time in UTC")
        slot = cls((time - _EPOCH) // _MILLISECOND, name.endswith(_BY_HAND))
        if slot.name != name:
            raise ValueError("a slot is named by its time in UTC")
        return slot

    @property
    def token(self) -> str:
        """Its form in the store."""
        return f"{self.at}h" if self.by_hand else str(self.at)

    @classmethod
    def of_token(cls, token: str) -> Self:
        """Return the slot of this form."""
        return cls(int(token.removesuffix("h")), token.endswith("h"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryState:
    """What the store remembers of one entry. Times are milliseconds since 1970 by its clock."""

    #: The latest slot that was decided; None before the first start.
    last: int | None = None
    #: The slot under way, and since when.
    open: Slot | None = None
    since: int = 0
    #: The slots that wait until it has ended, in their order.
    waiting: tuple[Slot, ...] = ()
    #: Why the entry is paused; None where it is not.
    paused: str | None = None
    #: How often a person resumed it.
    resumed: int = 0
    #: How far the slot under way is.
    facts: Mapping[str, Fact] = field(default_factory=dict)
    #: When a slot succeeded last; 0 for never.
    succeeded: int = 0
    #: Whether a person started the slot under way although the entry was paused, and nobody paused it since.
    forced: bool = False


class Look(NamedTuple):
    """The entries at one moment."""

    #: Milliseconds since 1970, by the store's clock.
    now: int
    states: Mapping[str, EntryState]


class Missed(NamedTuple):
    """Slots that passed and do not fire: from one to another, and how many they are, where that is known."""

    first: int
    last: int
    number: int | None = None

    @property
    def facts(self) -> dict[str, Fact]:
        """What the history says of them, beside the first."""
        counted = {} if self.number is None else {"slots": self.number}
        return {"until": Slot(self.last).name, **counted}


class Due(NamedTuple):
    """What a scheduler found to be due for one entry."""

    #: In their order.
    slots: tuple[Slot, ...]
    #: How many may wait behind the slot under way.
    waiting: int = 0
    missed: Missed | None = None
    #: Although the entry is paused: the slot that begins does not rest for that pause.
    force: bool = False


class SlotDecision(Enum):
    """What ``decide`` decided of one slot."""

    #: The slot is under way from now on: its job is to be enqueued.
    SEND = "send"
    #: It begins when the slot under way has ended.
    WAIT = "wait"
    #: Another slot is under way.
    SKIP = "skip"
    #: The entry is paused.
    PAUSED = "paused"
    #: It was decided before.
    KNOWN = "known"
    #: It is the first slot that the store hears of: the ones after it fire.
    BEGUN = "begun"


class Decided(NamedTuple):
    """What ``decide`` did."""

    #: For each slot.
    slots: list[SlotDecision]
    #: Whether this call noted what was missed: one scheduler's did.
    noted: bool = False


class Ended(NamedTuple):
    """What ``ended`` did."""

    #: Whether the slot was under way. If not, nothing was changed.
    was_open: bool
    #: The slot that waited and is under way now: its job is to be enqueued.
    begun: Slot | None = None


class Line(NamedTuple):
    """One line of an entry's history."""

    slot: Slot
    what: What
    #: Milliseconds since 1970, by the store's clock.
    at: int
    facts: Mapping[str, Fact]


class Schedules(Protocol):
    """The entries on one store. All verbs are one round trip, and raise StoreUnavailable."""

    def look(self, entries: Sequence[str]) -> Look:
        """Return the time and what is known of these entries."""

    def decide(self, entry: str, due: Due) -> Decided:
        """Decide each slot of *due*, once for all schedulers.

        A reply that is lost costs no slot: the slot is under way, and a slot under way without a job is
        enqueued by any scheduler.
        """

    def ended(
        self,
        entry: str,
        slot: Slot,
        what: Literal["done", "failed"],
        facts: Mapping[str, Fact],
        pause: str = "",
    ) -> Ended:
        """End the slot under way, and begin the next one that waits.

        With the note *pause* the entry pauses in the same step.

        Raises:
            ValueError: *facts* cannot be kept.
        """

    def progress(self, entry: str, slot: Slot, facts: Mapping[str, Fact]) -> bool:
        """Keep how far the slot is; return False where it is not under way.

        Raises:
            ValueError: *facts* cannot be kept.
        """

    def pause(self, entry: str, note: str) -> None:
        """Fire no slot of the entry any more; *note* says who wants that and why.

        The slot under way rests, also where it was forced before.
        """

    def resume(self, entry: str) -> bool:
        """End the pause, and begin what waits; return whether there was one."""

    def history(self, entry: str) -> list[Line]:
        """Return what became of the last slots, the newest first; a damaged line is left out."""


def encode(facts: Mapping[str, Fact]) -> bytes:
    """Return *facts* as a JSON object, which is one line.

    Raises:
        ValueError: they are more than FACTS_KEPT bytes, or a value is neither a number nor a text.
    """
    return encode_facts(facts, owner="a slot", most=FACTS_KEPT)


def decode(facts: bytes) -> dict[str, Fact]:
    """Return the facts of a JSON object; none of what something else wrote."""
    try:
        known = orjson.loads(facts)
    except orjson.JSONDecodeError:
        return {}
    found = known.items() if isinstance(known, dict) else ()
    return {name: value for name, value in found if isinstance(value, int | float | str)}


def to_lines(log: bytes) -> list[Line]:
    """Return the lines of a history: slot, what, when and facts, a line each."""
    return [line for text in log.splitlines() if (line := _line(text)) is not None]


def _line(text: bytes) -> Line | None:
    try:
        token, what, at, facts = text.split(b" ", 3)
        slot = Slot.of_token(token.decode())
        if what.decode() not in get_args(What):
            return None
        return Line(slot, cast("What", what.decode()), int(at), decode(facts))
    except ValueError:
        return None
