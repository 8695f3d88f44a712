"""Divides a limit among the processes that want calls: each computes its own share from the same reports."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.pace.state import Report, Rest, State


@dataclass(slots=True)
class Share:
    """What this process may do; times are of its own clock."""

    state: State
    #: How many calls it may have open.
    limit: int
    #: How many it may begin a second.
    rate: float | None = None
    #: How many all processes may begin a second.
    rate_of_all: float | None = None
    rest_until: float = -inf
    #: How many calls the other processes have open, and how many jobs they parked that have not come back.
    open_elsewhere: int = 0
    parked_elsewhere: int = 0
    #: Whether the others believe that this process wants no call.
    is_idle: bool = False
    #: Seconds until its first call, where several processes begin to call at once.
    after: float = 0.0

    def rest(self, until: float) -> None:
        """Rest *until* then at least: this process's own calls say so, until a share knows of them."""
        self.rest_until = max(self.rest_until, until)

    def interval(self, seconds: float) -> float:
        """Return the seconds between two calls that begin, where each takes so many *seconds*."""
        return _interval(seconds, self.limit, self.rate)

    def interval_of_all(self, seconds: float) -> float:
        """Return the same for the calls of all processes."""
        return _interval(seconds, self.state.limit, self.rate_of_all)


def _interval(seconds: float, limit: float, rate: float | None) -> float:
    of_limit = seconds / max(limit, 1)
    return of_limit if rate is None else max(1 / rate, of_limit)


def prober(rest: Rest, reports: Mapping[str, Report]) -> str:
    """Return the process that looks if the provider is back: the same one while it wants a call."""
    wanting = sorted(who for who, each in reports.items() if each.wanted)
    if rest.by in wanting or not wanting:
        return rest.by if wanting else ""
    return wanting[rest.times % len(wanting)]


def is_without_demand(me: str, reports: Mapping[str, Report]) -> bool:
    """Return whether others share the board, who believe that *me* wants no call."""
    return len(reports) > 1 and not (me in reports and reports[me].wanted)


def place_of(me: str, reports: Mapping[str, Report]) -> int:
    """Return how many of the processes that want calls come before *me*."""
    return sum(bool(each.wanted) and who < me for who, each in reports.items())


def share_of_limit(state: State, me: str, reports: Mapping[str, Report], *, is_paced: bool = False) -> int:
    """Return how many calls *me* may have open: whole shares, the largest remainders first.

    What no process wants is divided among all: many that begin to call at once must not take it many times.
    Where a rate holds, one without demand has to report it first.
    """
    if state.rest is not None and state.rest.probing:
        return int(state.rest.by == me)
    wanted = {who: each.wanted for who, each in reports.items()}
    total, asked = int(state.limit), sum(wanted.values())
    if is_paced and is_without_demand(me, reports):
        return 0
    if asked <= total:
        free, members = total - asked, sorted({*reports, me})
        return wanted.get(me, 0) + free // len(members) + (members.index(me) < free % len(members))
    exact = {who: total * count / asked for who, count in wanted.items() if count}
    if me not in exact:
        return 0
    whole = {who: int(share) for who, share in exact.items()}
    # A process that has calls under way keeps its place: another one would wait for them.
    order = sorted(exact, key=lambda who: (whole[who] - exact[who], not _has_open(who, reports), who))
    left = total - sum(whole.values())
    return whole[me] + (me in order[:left])


def _has_open(who: str, reports: Mapping[str, Report]) -> bool:
    return who in reports and reports[who].open > 0


def share_of_rate(rate: float, me: str, reports: Mapping[str, Report]) -> float:
    """Return how many calls a second *me* may begin."""
    others = sum(each.wanted for who, each in reports.items() if who != me)
    own = max(reports[me].wanted if me in reports else 0, 1)
    return rate * own / (others + own)
