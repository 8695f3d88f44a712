"""The places of one process's calls: how many are open, and when the next one may begin."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from askonce.pace.turn import Turn

if TYPE_CHECKING:
    from askonce.pace.member import Member

#: Calls a second may be late by so much, and are made up for.
_CATCH_UP: Final = 0.02


class Places:
    """As many as the share of *member* has. Each method is called under the lock of its pace."""

    def __init__(self, member: Member) -> None:
        """Begin with no call."""
        self._member = member
        #: How many calls are under way.
        self.open = 0
        #: When the rate lets the next one begin.
        self._next_at = -inf
        #: When the provider last went away, which tells the calls that began since then from older ones.
        self._crowd = -inf

    def wait_left(self, now: float) -> float:
        """Return the seconds until the next call may begin; infinite until another one ends."""
        share = self._member.share
        if share.rest_until > now:
            return share.rest_until - now
        if self.open >= share.limit:
            return inf
        return max(0.0, self._next_at - now) if share.rate is not None else 0.0

    def take(self, subject: str, now: float) -> Turn:
        """Let a call begin."""
        share, rest = self._member.share, self._member.share.state.rest
        if share.rate is not None:
            self._next_at = max(self._next_at, now - _CATCH_UP) + 1 / share.rate
        self.open += 1
        self._member.counts.sent += 1
        is_probe = rest is not None and rest.probing
        return Turn(subject, now, share.state.epoch, is_probe, self.open + share.open_elsewhere, self._crowd)

    def free(self, turn: Turn) -> int:
        """Let the next call have the place of this one; return how many were open with it."""
        among = max(turn.among, self.open + self._member.share.open_elsewhere)
        if turn.is_open and turn.crowd == self._crowd:
            self.open -= 1
        turn.is_open = False
        return among

    def follow(self, now: float) -> None:
        """Follow a new share."""
        rest, rate = self._member.share.state.rest, self._member.share.rate
        if rest is not None and rest.probing and rest.since != self._crowd:
            self._crowd, self.open = rest.since, 0
        if rate is not None:
            # A wait that an older, slower pace left is over sooner now.
            self._next_at = max(min(self._next_at, now + 1 / rate), now + self._member.share.after)
