"""Decides whether one more job may be enqueued under a ceiling of cost.

    spent + (in flight + of unknown cost + one more) x the dearest so far  <=  ceiling

The first job is a pilot: before anybody knows what one costs, there is one at a time. An attempt of unknown
cost, such as that of a killed worker, counts as the dearest so far, never as nothing. A job that costs more
than each before it may pass the ceiling by the difference. Once one has cost more than the whole ceiling,
each further job is a pilot too: there is one at a time.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.schedule.position import WINDOW
from askonce.spend import Spend

if TYPE_CHECKING:
    from askonce.job import JobId
    from askonce.record import Snapshot
    from askonce.schedule.position import Position

_MICROS: Final = 1_000_000


class Ended(NamedTuple):
    """A job of the slot that has ended."""

    #: ``done``, or the kind of its failure; ``replaced`` where another job has its key already.
    word: str
    spend: Spend
    attempts: int


def end_of(job: JobId, record: Snapshot) -> Ended | None:
    """Return how *job* ended, by the *record* of its key; None while it is under way."""
    if record.job != job or not record.present:
        return Ended("replaced", Spend(), 1)
    if record.flight != "idle":
        return None
    if record.failure is not None and record.failure.job == job:
        return Ended(record.failure.kind, record.failure.spend.own, record.attempts)
    value = record.value or record.late
    if value is None:
        return Ended("replaced", Spend(), 1)
    return Ended("done", value.meta.spend.own, value.meta.attempts)


def to_micros(dollars: float) -> int:
    """Return US dollars in millionths, rounded down."""
    # The shortest text of a float is the number that was meant.
    return int((Decimal(repr(dollars)) * _MICROS).to_integral_value(ROUND_FLOOR))


class Ceiling:
    """The ceiling of one slot."""

    def __init__(self, most: int, position: Position) -> None:
        """Allow *most* millionths of a dollar since the entry was resumed last."""
        self._most, self._position = most, position
        #: Attempts of the jobs in flight beyond their first.
        self.repeated = 0

    @property
    def has_room(self) -> bool:
        """Whether one more job may be enqueued."""
        now, flying = self._position, len(self._position.flight)
        left = self._most - (now.spent - now.forgiven)
        if now.dearest is None:
            return left > 0 and not flying
        held = flying + self.repeated + now.unknown
        if self.too_dear is not None:
            return left > 0 and not held
        return flying < WINDOW and left > 0 and (held + 1) * now.dearest <= left

    @property
    def too_dear(self) -> int | None:
        """What a single job cost, in millionths of a dollar, where that is more than all may; else None."""
        dearest = self._position.dearest
        return dearest if dearest is not None and dearest > self._most else None

    def count(self, ended: Ended) -> bool:
        """Count what a job cost; return False where that is unknown, and so is what any other one costs."""
        now, cost = self._position, ended.spend.micro_usd
        if cost is None:
            now.unknown += max(1, ended.attempts)
            return now.dearest is not None
        now.spent += cost
        if ended.spend.calls:
            now.dearest = max(cost, now.dearest or 0)
        return True

    def begin_anew(self) -> None:
        """Forgive what was spent: a person has resumed the entry."""
        self._position.forgiven, self._position.unknown = self._position.spent, 0
