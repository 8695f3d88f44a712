"""The law: which state follows from what the calls of all processes met. A pure function.

What it does, and where that comes from:

- *Slow start* (TCP, RFC 5681): each answer lets one more call begin, until something says that it is enough.
- *Queueing* (TCP Vegas): calls that take longer while more are open wait in the provider's own queue. Fewer
  calls are then open, one step a round trip, and more again, slowly, while that costs nothing. ``limit.py``
  does both.
- *Rate*: between two moments at which the provider had no room, it accepted as many calls as it can. Their
  number by the time between is its rate. Afterwards the rate grows slowly, until it is refused again:
  ``rate.py``.
- *Rest*: a provider that accepts nothing is left alone, longer each time; then one call alone looks.

Each change raises the epoch. Calls that began in an older one met an older pace: one crowd is one refusal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from askonce.pace.limit import grow_limit, learn_seconds, open_fewer
from askonce.pace.rate import (
    accepted_of_late,
    bound_rate,
    count_accepted,
    forget_outage,
    grow_rate,
    learn_rate,
)
from askonce.pace.shares import prober
from askonce.pace.state import Rest, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from askonce.pace.state import Allowance, Report

#: The rests of a provider that accepts nothing, in seconds.
_FIRST_REST: Final = 1.0
_LONGEST_REST: Final = 30.0
#: The same where a person must act: a look may cost money there.
_FIRST_LOOK: Final = 5.0
_LONGEST_LOOK: Final = 60.0
#: Seconds within which two refused jobs have met the same.
_SAME_TROUBLE: Final = 10.0
#: The longest rest of all processes while some calls are accepted; a refused job itself rests as wished.
REST_WHILE_ACCEPTED: Final = 60.0


def adjusted(state: State, now: float, reports: Mapping[str, Report]) -> State:
    """Return the state after *reports*, by their processes."""
    fresh = [
        each if each.epoch == state.epoch else each.of_the_past()
        for who, each in reports.items()
        if each.has_news and state.taken.get(who) != each.number
    ]
    after = replace(state, at=now, levels=dict(state.levels), marks=list(state.marks))
    after.taken = {who: each.number for who, each in reports.items()}
    _count(after, now, fresh)
    for each in fresh:
        after.remembered = after.remembered | each.remembered
    if not _hold_back(after, now, fresh) and not after.is_fixed and after.rest is None:
        wanted = sum(each.wanted for each in reports.values())
        grow_rate(after, now, wanted, max(now - state.at, 0.0))
        grow_limit(after, now, fresh, wanted)
    for allowance in (each.allowance for each in fresh if each.allowance is not None):
        _follow(after, allowance, sum(each.open for each in reports.values()))
    if after.rest is not None and after.rest.probing:
        after.rest = replace(after.rest, by=prober(after.rest, reports))
    return after


def _hold_back(state: State, now: float, fresh: list[Report]) -> bool:
    """Let fewer calls be made, or none, where calls failed; return whether they did."""
    if _is_refused(fresh):
        _slow_down(state, now, fresh)
    elif _is_crowd_refused(state, fresh):
        _go_away(state, now, fresh)
    elif state.lost and (state.lost >= state.few or state.rest is not None):
        _leave_alone(state, now, fresh)
    elif any(each.timed_out_now for each in fresh):
        open_fewer(state, now, 0.7)
    else:
        return False
    return True


def _is_refused(fresh: Iterable[Report]) -> bool:
    return any(each.refused_now or each.misconfigured_now for each in fresh)


def _count(state: State, now: float, fresh: list[Report]) -> None:
    count_accepted(state, now, sum(each.sent - each.refused for each in fresh))
    if any(each.answered for each in fresh):
        state.misconfigured = state.lost = 0
    else:
        state.lost += sum(each.lost_now for each in fresh)
    if state.rest is not None:
        if any(each.cured for each in fresh):
            state.rest = None
            state.begin_epoch()
            if not state.is_fixed:
                state.limit, state.starting, state.step = 2.0, True, 1.0
        elif not state.rest.probing and now >= state.rest.until:
            state.rest = None
    for each in fresh:
        learn_seconds(state, now, each)


def _slow_down(state: State, now: float, fresh: list[Report]) -> None:
    """Follow a refusal: at once for everybody."""
    wish = max(each.wish for each in fresh)
    refusing = [each for each in fresh if each.refused_now or each.misconfigured_now]
    reason = refusing[-1].reason
    if any(each.misconfigured_now for each in refusing):
        state.misconfigured += sum(each.misconfigured_now for each in refusing)
        if state.misconfigured >= state.few or state.rest is not None:
            state.begin_epoch()
            _rest(state, now, reason, wish, probing=True, configuration=True)
        # The pace is as before, so that the failures of other calls under way count too.
        return
    state.begin_epoch()
    refused = sum(each.refused for each in fresh)
    if accepted_of_late(state) <= 0:
        if refused <= 1 and state.rest is None and state.doubted != state.accepted:
            # Of slow calls few begin in two seconds. The next one says more, and those under way go on.
            state.doubted = state.accepted
            _rest(state, now, reason, min(wish, REST_WHILE_ACCEPTED), probing=False)
            return
        _go_away(state, now, fresh)
        return
    sent = sum(each.sent for each in fresh)
    is_crowd = refused > 0.3 * (accepted_of_late(state) + refused)
    learn_rate(state, now, 0.25 if is_crowd else 0.85)
    state.starting, state.step = False, 1.0
    is_for_all = bool(wish) and _is_common(state, now, fresh)
    if is_for_all or refused > max(4, sent / 2):
        _rest(state, now, reason, min(max(wish, _FIRST_REST), REST_WHILE_ACCEPTED), probing=False)


def _is_common(state: State, now: float, fresh: Iterable[Report]) -> bool:
    """Return whether several jobs were refused of late: a wish for one alone is none for all."""
    refusing = [each for each in fresh if each.refused]
    jobs = {job for each in refusing for job in each.jobs}
    last = state.refused_job
    if jobs:
        state.refused_job = now, min(jobs)
    if last is not None and now - last[0] <= _SAME_TROUBLE:
        jobs.add(last[1])
    # An older version names no job.
    return len(jobs) > 1 or not all(each.jobs for each in refusing)


def _is_crowd_refused(state: State, fresh: Iterable[Report]) -> bool:
    """Return whether the calls that seemed to be taken, because they were under way, are refused too."""
    is_short = state.rest is not None and not state.rest.probing
    return is_short and accepted_of_late(state) <= 0 and any(each.refused for each in fresh)


def _go_away(state: State, now: float, fresh: Iterable[Report]) -> None:
    """Let one call alone look, after a rest, whether a provider that takes none is back."""
    refusing = [each for each in fresh if each.refused or each.refused_now]
    forget_outage(state, now)
    _rest(state, now, refusing[-1].reason, max(each.wish for each in refusing), probing=True)


def _leave_alone(state: State, now: float, fresh: list[Report]) -> None:
    """Make no call for a while: nobody answered the last ones."""
    lost = [each.reason for each in fresh if each.lost_now]
    if lost:
        state.begin_epoch()
        _rest(state, now, lost[-1], 0.0, probing=True)


def _rest(
    state: State, now: float, reason: str, wish: float, *, probing: bool, configuration: bool = False
) -> None:
    last = state.rest if state.rest is not None and state.rest.probing and probing else None
    times = last.times + 1 if last else 1
    first, longest = (_FIRST_LOOK, _LONGEST_LOOK) if configuration else (_FIRST_REST, _LONGEST_REST)
    seconds = max(wish, min(first * 2.0 ** min(times - 1, 10), longest) if probing else _FIRST_REST)
    state.rest = Rest(
        until=max(now + seconds, state.rest.until if state.rest else 0.0),
        since=last.since if last else now,
        reason=reason,
        times=times,
        probing=probing,
        configuration=configuration,
    )


def _follow(state: State, allowance: Allowance, open_calls: int) -> None:
    """Follow the provider's own account of what it accepts."""
    limit, remaining, reset = allowance
    if state.rest is None and state.starting and remaining >= 1:
        state.limit = max(state.limit, min(open_calls + remaining, 10_000.0))
    if reset > 0 and remaining < limit / 10:
        bound_rate(state, max(limit - remaining, remaining) / reset)
