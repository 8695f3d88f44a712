"""The port to boards: what processes that share something report to each other, and the state they agree on.

A board is named. Each member keeps one note on it, which ends by itself. The state has a version: a member
that saw an older version cannot replace it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds for which a store keeps a board that no member uses.
BOARD_KEPT = 86_400.0


class Seen(NamedTuple):
    """A board at one moment."""

    #: Seconds since 1970 by the store's clock.
    now: float
    version: int
    #: Empty for a new board.
    state: bytes
    #: The notes that have not ended, by their members.
    notes: Mapping[str, bytes]


class Boards(Protocol):
    """The boards on one store. Each verb is one round trip, and raises StoreUnavailable."""

    def exchange(self, name: str, member: str, note: bytes, ttl: float) -> Seen:
        """Keep *note* for *ttl* seconds in place of the member's last one; return the board.

        An empty note withdraws the member.
        """

    def propose(self, name: str, version: int, state: bytes) -> bool:
        """Replace the state that has *version*; return whether it still had that."""

    def states(self) -> Mapping[str, bytes]:
        """Return the state of each board, by its name."""
