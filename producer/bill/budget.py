"""Holds a run within a line of dollars and a line of calls.

    admit: reserve the worst case, or refuse ──> the job runs ──> settle: spend what was paid, free the rest

What is spent and what is reserved never pass the line together, so no order of ends does. Amounts are whole
millionths of a dollar: sums of them are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from producer.bill.worst import Worst

_MICROS: Final = 1_000_000


@dataclass(slots=True, kw_only=True)
class Line:
    """One limit, what is spent of it, and what is reserved."""

    limit: int
    spent: int = 0
    reserved: int = 0
    #: The part of ``spent`` of which it is unknown whether it was paid.
    in_doubt: int = 0

    @property
    def left(self) -> int:
        """What is neither spent nor reserved."""
        return self.limit - self.spent - self.reserved

    def settle(self, reserved: int, paid: int | None) -> None:
        """Free what was *reserved*, and spend what was *paid*: all of it where that is unknown."""
        self.reserved -= reserved
        self.spent += reserved if paid is None else paid
        self.in_doubt += reserved if paid is None else 0


class Budget:
    """What a run may cost and how many calls it may make; None is no limit."""

    def __init__(self, *, max_cost: Decimal | None = None, max_calls: int | None = None) -> None:
        """Allow *max_cost* US dollars and *max_calls* calls.

        Raises:
            ValueError: names the limit that allows nothing.
        """
        self.cost = None if max_cost is None else Line(limit=_to_micros(max_cost))
        self.calls = None if max_calls is None else Line(limit=max_calls)
        if max_calls is not None and max_calls < 1:
            raise ValueError(f"max_calls must be at least 1, not {max_calls}")

    def admit(self, worst: Worst) -> bool:
        """Reserve *worst* and return True; return False where a line could be passed, and reserve nothing."""
        if any(needed is None or needed > line.left for line, needed in self._pairs(worst)):
            return False
        self.reserve(worst)
        return True

    def reserve(self, worst: Worst) -> None:
        """Reserve *worst* for a job that an earlier process of the same run admitted."""
        for line, needed in self._pairs(worst):
            line.reserved += needed or 0

    def settle(self, worst: Worst, paid_micro_usd: int | None, calls: int | None) -> None:
        """End a job that was admitted: it cost so much, and made so many *calls*; None is unknown.

        A row that was answered without a call, or shares the job of another run, paid 0 and made none.
        """
        if self.cost is not None:
            self.cost.settle(worst.micro_usd or 0, paid_micro_usd)
        if self.calls is not None:
            self.calls.settle(worst.calls, calls)

    def is_too_small_for(self, worst: Worst) -> bool:
        """Return whether *worst* could not be admitted as the first job of all."""
        return any(
            needed is not None and needed > line.limit and line.left == line.limit
            for line, needed in self._pairs(worst)
        )

    def _pairs(self, worst: Worst) -> list[tuple[Line, int | None]]:
        pairs = ((self.cost, worst.micro_usd), (self.calls, worst.calls))
        return [(line, needed) for line, needed in pairs if line is not None]


def _to_micros(dollars: Decimal) -> int:
    if not dollars.is_finite() or dollars <= 0:
        raise ValueError(f"max_cost must be more than 0 dollars, not {dollars}")
    micros = int((dollars * _MICROS).to_integral_value(ROUND_FLOOR))
    if not micros:
        raise ValueError(f"max_cost must be at least a millionth of a dollar, not {dollars}")
    return micros
