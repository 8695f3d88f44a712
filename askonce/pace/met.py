"""What the last calls of a process met: whether a refusal is the provider's, or one job's own trouble."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.pace.turn import Turn

#: Seconds for which what another call met says something of this one.
_JUDGED_BY: Final = 60.0
#: So many answers to others, between two refusals of one job, say that the provider takes calls.
_OTHERS: Final = 5
#: A job that is refused so often while others are answered is no news of the provider any more.
_IS_NEWS: Final = 2
#: Seconds that such a job rests, doubled each time, and the most.
_FIRST_REST, _LONGEST_REST = 4.0, 300.0
#: Jobs that are known.
_KNOWN: Final = 1000


class Met:
    """What the last calls met."""

    def __init__(self) -> None:
        """Begin with nothing."""
        #: When a call was refused, or began if it was answered; its subject; whether it was refused.
        self._calls: deque[tuple[float, str, bool]] = deque(maxlen=64)
        self._answered = 0
        #: Of each job that was refused: how often while others were answered, and the answers until then.
        self._refused: dict[str, tuple[int, int]] = {}

    def answered(self, turn: Turn) -> None:
        """Note that a call had a reply."""
        self._calls.append((turn.begun, turn.subject, False))
        self._answered += 1
        self._refused.pop(turn.subject, None)

    def refused(self, now: float, subject: str = "") -> None:
        """Note that a call was refused *now*; without a subject, of a job that is not known."""
        self._calls.append((now, subject, True))

    def own_rest(self, subject: str) -> float:
        """Count that *subject* is refused again; return for how long it alone rests, 0 for a usual refusal.

        Its text may need more than the service grants in a minute, and is refused whenever it comes. All
        others would be slowed down, or stopped, each time.
        """
        if not subject:
            return 0.0
        times, until_then = self._refused.pop(subject, (0, self._answered - _OTHERS))
        is_alone = self._answered - until_then >= _OTHERS
        self._refused[subject] = (times + is_alone, self._answered if is_alone else until_then)
        if len(self._refused) > _KNOWN:
            del self._refused[next(iter(self._refused))]
        if not is_alone or times < _IS_NEWS:
            return 0.0
        return float(min(_FIRST_REST * 2.0 ** min(times - _IS_NEWS, 10), _LONGEST_REST))

    def after(self, turn: Turn, refused_at: float) -> bool | None:
        """Return whether the last call of another job, since *turn* began, was refused; None without one.

        An answer to a call that began before *refused_at* says nothing: an outage may have begun in between.
        """
        return self._last(turn.subject, turn.begun, refused_at)

    def before(self, turn: Turn) -> bool:
        """Return whether the last call of another job was refused, if it is not long ago."""
        since = turn.begun - _JUDGED_BY
        return self._last(turn.subject, since, since) is True

    def _last(self, subject: str, refused_since: float, answered_since: float) -> bool | None:
        others = [
            refused
            for at, who, refused in self._calls
            if who != subject and at >= (refused_since if refused else answered_since)
        ]
        return others[-1] if others else None
