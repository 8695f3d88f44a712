"""The limit: how many calls may be open, learned from how long they take while more or fewer are."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from askonce.pace.state import Level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from askonce.pace.state import Report, State

#: How much longer calls take when they queue, with twice as many open and with half as many more.
_QUEUEING: Final = 1.4
_QUEUEING_SOON: Final = 1.25
#: Answers from which a mean is worth something, and for how many seconds it is.
_ENOUGH: Final = 4.0
_KNOWN_FOR: Final = 300.0
#: Seconds between two doublings at least: fast calls are soon more than a provider takes.
_DOUBLES_EVERY: Final = 0.5
#: A mean is that of about so many answers.
_MEAN_OF: Final = 32.0
#: So many answers in a row that took so much longer than others with as many open are no chance.
_LATE: Final = 1.5
_LATE_IN_A_ROW: Final = 6.0
#: The part of a limit from which on it is what holds calls back.
_USED: Final = 0.7


def level_of(open_calls: float) -> int:
    """Return the level of so many open calls: two levels are twice as many."""
    return round(2 * math.log2(max(open_calls, 1.0)))


def learn_seconds(state: State, now: float, report: Report) -> None:
    """Learn how long the answered calls of a *report* took, at each level of open calls."""
    for level, (count, seconds, squares) in report.seconds.items():
        mean = seconds / count
        # Another process may report what cannot be.
        variance = max(squares / count - mean**2, 0.0)
        _learn(state, level, Level(count=count, mean=mean, variance=variance, at=now))


def _learn(state: State, name: str, new: Level) -> None:
    kept = state.levels.get(name)
    if kept is None or new.at - kept.at >= _KNOWN_FOR:
        kept = replace(new, count=0)
    late = kept.late + new.count if new.mean > _LATE * kept.mean and kept.count >= _ENOUGH else 0.0
    if late >= _LATE_IN_A_ROW:
        # With as few open as before: these calls are longer by themselves, and no older mean is theirs.
        state.levels = {name: new}
        return
    total = min(kept.count + new.count, _MEAN_OF)
    weight = min(new.count / total, 1.0)
    mean = kept.mean + weight * (new.mean - kept.mean)
    spread = weight * (1 - weight) * (new.mean - kept.mean) ** 2
    variance = (1 - weight) * kept.variance + weight * new.variance + spread
    state.levels[name] = Level(count=total, mean=mean, variance=variance, at=new.at, late=late)
    state.round_trip += min(new.count / 8, 1.0) * (new.mean - state.round_trip)


def open_fewer(state: State, now: float, factor: float) -> None:
    """Let fewer calls be open, once in a round trip."""
    if now < state.next_change or state.is_fixed:
        return
    state.limit = max(1.0, state.limit * factor)
    state.begin_epoch()
    state.starting, state.step, state.next_change = False, 1.0, now + state.round_trip


def grow_limit(state: State, now: float, fresh: list[Report], wanted: int) -> None:
    """Let more calls be open where they are *wanted*, and fewer where calls queue at the provider."""
    is_used = wanted >= _USED * state.limit
    queueing = _queueing(state, now, fresh)
    if queueing > 1.0:
        if state.starting:
            state.limit = max(1.0, state.limit / queueing)
        open_fewer(state, now, 0.85)
    elif state.starting:
        state.answered_now += sum(each.answered_now for each in fresh)
        if is_used and state.answered_now >= state.limit and now >= state.next_change:
            state.limit *= 2
            state.next_change = now + _DOUBLES_EVERY
            state.begin_epoch()
    elif is_used and now >= state.next_change and any(each.answered for each in fresh):
        state.limit += state.step
        state.step = min(state.step * 2, state.limit)
        state.next_change = now + state.round_trip


def _queueing(state: State, now: float, fresh: Iterable[Report]) -> float:
    """Return how much longer calls take than with fewer open; 1 where they do not queue."""
    counts = Counter[int]()
    for each in fresh:
        counts.update({int(level): count for level, (count, _, _) in each.seconds.items()})
    if not counts:
        return 1.0
    return queueing_at(state, now, max(counts, key=lambda level: (counts[level], level)))


def queueing_at(state: State, now: float, level: int) -> float:
    """Return the same for one level of open calls."""
    here = state.levels.get(str(level))
    if here is None:
        return 1.0
    for fewer, least in ((level - 1, _QUEUEING_SOON), (level - 2, _QUEUEING)):
        base = _known_below(state, now, fewer)
        if base is not None and here.mean > least * base.mean > 0 and _differ(here, base):
            return here.mean / base.mean
    return 1.0


def _known_below(state: State, now: float, level: int) -> Level | None:
    """Return what is known of *level* and those below it, together."""
    known = [each for name, each in state.levels.items() if int(name) <= level and now - each.at < _KNOWN_FOR]
    count = sum(each.count for each in known)
    if not known:
        return None
    mean = sum(each.count * each.mean for each in known) / count
    variance = sum(each.count * (each.variance + (each.mean - mean) ** 2) for each in known) / count
    return Level(count=count, mean=mean, variance=variance, at=now)


def _differ(one: Level, other: Level) -> bool:
    """Return whether two means differ by more than chance: twice the standard error of their difference."""
    if min(one.count, other.count) < _ENOUGH:
        return False
    error = math.sqrt(one.variance / one.count + other.variance / other.count)
    return one.mean - other.mean > 2 * error
