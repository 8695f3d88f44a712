"""What a person reads of a bill: before a run, after its pilot and at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.log import digits_of
from producer.progress.amounts import dollars

if TYPE_CHECKING:
    from producer.bill.budget import Budget
    from producer.bill.estimate import Estimate, Range
    from producer.bill.worst import Worst

_UNKNOWN: Final = "unknown"
_MICROS: Final = 1_000_000


def lines_of(estimate: Estimate) -> list[str]:
    """Return the lines of a dry run about the rows that are to be called."""
    lines = [f"calls: {_counts(estimate.calls)}"]
    if estimate.input_tokens is not None and estimate.output_tokens is not None:
        lines += [
            f"input tokens: {_counts(estimate.input_tokens)}",
            f"output tokens: {_counts(estimate.output_tokens)}",
        ]
    return [*lines, f"cost: {cost_of(estimate.cost_usd)}", f"basis: {estimate.basis}"]


def cost_of(cost: Range | None) -> str:
    """Return a cost that is not known yet, such as ``$0.1800 ($0.1200 to $0.3300)``; or ``unknown``."""
    if cost is None:
        return _UNKNOWN
    low, expected, high = (dollars(round(each * _MICROS)) for each in cost)
    return f"{expected} ({low} to {high})"


def paid_of(estimated: Range | None, paid_usd: float | None) -> str:
    """Return the last line of a run: what was paid, beside what was estimated."""
    paid = _UNKNOWN if paid_usd is None else dollars(round(paid_usd * _MICROS))
    return f"paid: {paid}; estimated: {cost_of(estimated)}"


def stopped_by(budget: Budget, worst: Worst) -> str:
    """Return why the next row is not sent, whose job can cost *worst*: what is spent, left and needed."""
    parts = []
    if budget.cost is not None:
        line, needed = budget.cost, _UNKNOWN if worst.micro_usd is None else dollars(worst.micro_usd)
        doubt = f" ({dollars(line.in_doubt)} in doubt)" if line.in_doubt else ""
        spent = f"{dollars(line.spent)} is spent{doubt}"
        # A limit may be lower than what earlier starts spent.
        parts.append(f"{spent}, {dollars(max(0, line.left))} is left; the next row can cost {needed}")
    if budget.calls is not None:
        made, left = budget.calls.spent, max(0, budget.calls.left)
        parts.append(
            f"{made:,} calls are or may be made, {left:,} are left; the next row can make {worst.calls}"
        )
    return ". ".join(parts)


def too_small(budget: Budget, row: int, worst: Worst) -> str:
    """Return why *budget* sends nothing, and which limits would send *row*, whose job can cost *worst*."""
    least = []
    if budget.cost is not None and worst.micro_usd is not None:
        # As it can be passed: not one digit is cut off.
        least.append(f"--max-cost {digits_of(worst.micro_usd / _MICROS)}")
    if budget.calls is not None:
        least.append(f"--max-calls {worst.calls}")
    return f"it sends not even one row: what row {row} can cost needs at least {' and '.join(least)}"


def _counts(many: Range) -> str:
    return f"{many.expected:,.0f} ({many.low:,.0f} to {many.high:,.0f})"
