"""The port to the audit: what people did to jobs, who, when and why.

A command writes its entry before it acts: nothing is done without one, but for what makes room in a full
store. So an entry may stand for an act that
did not come about, because the store went away in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator

Act = Literal["pause", "resume", "cancel", "replay", "discard", "invalidate", "purge", "run"]
ACTS: Final[tuple[Act, ...]] = get_args(Act)
#: What a full store must still do, although it has no room for an entry.
ROOM_MAKING: Final[frozenset[Act]] = frozenset({"resume", "cancel", "discard", "invalidate", "purge"})
#: So many entries are kept, the newest; older ones make room.
ENTRIES_KEPT = 10_000
#: Seconds for which they are kept after the newest one.
ENTRIES_KEPT_FOR = 400 * 86_400.0
#: Characters of each part of an entry.
PART_KEPT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One act of a person. It never holds a payload."""

    #: User and host.
    who: str
    act: Act
    #: What it was done to, as the command line named it.
    what: str
    #: Why; empty where the person did not say.
    note: str = ""
    #: Given by the store: seconds since 1970 by its clock.
    at: float = 0.0


class Audit(Protocol):
    """The audit of one store. Its verbs raise StoreUnavailable."""

    def note(self, entry: Entry) -> None:
        """Keep *entry*, each part cut to PART_KEPT; one round trip."""

    def entries(self, since: float = 0.0) -> Iterator[Entry]:
        """Yield the entries since then, in seconds since 1970, the oldest first."""
