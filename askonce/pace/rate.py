"""The rate: how many calls a second the provider accepts, measured between two moments without room."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.pace.state import State

#: Seconds of the past that say what is accepted, where the provider had room before.
_LOOK_BACK: Final = 2.0
_MARK_EVERY, _MARKS_KEPT = 0.25, 12
#: The growth of a rate in a second, until so many seconds after the last refusal, and later.
_GROWTH, _LATER_GROWTH = ((5.0, 0.01), (15.0, 0.05)), 0.15
#: The same while it was refused once only: what the provider accepted until then may be far less than it can.
_FIRST_GROWTH: Final = 0.5
#: Calls a second that no provider takes.
_HIGHEST_RATE: Final = 1e6
#: The part of a rate from which on it is what holds calls back.
_USED: Final = 0.7
#: Seconds until all processes follow a new rate.
_SETTLES_IN: Final = 1.0
#: Seconds after which a provider that had no room may have changed.
_FULL_KEPT: Final = 30.0


def count_accepted(state: State, now: float, calls: int) -> None:
    """Count *calls* that the provider took, whether it has answered them or not."""
    if not state.marks or now - state.marks[-1][0] >= _MARK_EVERY:
        state.marks = [mark for mark in state.marks if now - mark[0] <= _LOOK_BACK][-_MARKS_KEPT:]
        state.marks.append((now, state.accepted))
    state.accepted += calls


def accepted_of_late(state: State) -> int:
    """Return how many calls the provider took in the last two seconds: what it answers may be older."""
    return state.accepted - state.marks[0][1]


def learn_rate(state: State, now: float, least: float) -> None:
    """Take the rate at which the provider accepted calls since it had no room before.

    A few refusals may come of a moment's crowd, so they cost no more than down to *least* of the rate.
    """
    since_full = _since_full(state, now)
    if state.rate is not None and since_full < _SETTLES_IN:
        return
    if since_full > _LOOK_BACK:
        state.rate_before = state.rate
    is_recent = state.full is not None and since_full <= _FULL_KEPT
    began, accepted = state.full if state.full is not None and is_recent else state.marks[0]
    measured = max(state.accepted - accepted, 0.5) / max(now - began, 1.0)
    if not state.is_measured:
        # The rate so far is a guess, and no bound: of the first refusal, or of what headers said before it.
        least = min(least, 0.6) if state.full is not None else 0.0
    state.is_measured = is_recent
    state.rate = measured if state.rate is None else min(max(measured, state.rate * least), state.rate * 0.97)
    state.full = now, state.accepted


def forget_outage(state: State, now: float) -> None:
    """Return to the rate before the last refusals, which were the beginning of an outage and no limit."""
    if _since_full(state, now) <= 2 * _LOOK_BACK:
        state.rate, state.full = state.rate_before, None


def grow_rate(state: State, now: float, wanted: int, seconds: float) -> None:
    """Let the rate grow for so many *seconds*, where it is what holds calls back."""
    if state.rate is None:
        return
    since = _since_full(state, now)
    growth = next((each for until, each in _GROWTH if since < until), _LATER_GROWTH)
    if not state.is_measured:
        growth = _FIRST_GROWTH
    seconds_marked = max(now - state.marks[0][0], 1.0)
    used = (accepted_of_late(state) + 1) / seconds_marked
    # A rate that the limit does not let them use is not known to be too low.
    if wanted and since >= _SETTLES_IN and used >= _USED * state.rate:
        state.rate = min(state.rate * (1 + growth) ** min(seconds, 1.0), _HIGHEST_RATE)
    if since > _FULL_KEPT and state.rate > 4 * max(accepted_of_late(state), 1) / seconds_marked:
        # Nobody needs so much: what was learned may be old.
        state.rate = None


def bound_rate(state: State, rate: float) -> None:
    """Let no more calls begin than the provider itself says."""
    rate = min(rate, _HIGHEST_RATE)
    state.rate = rate if state.rate is None else min(state.rate, rate)


def _since_full(state: State, now: float) -> float:
    """Return the seconds since the provider last had no room; infinite where it always had."""
    return now - state.full[0] if state.full is not None else math.inf
