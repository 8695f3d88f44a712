"""What a person reads of a bill: before a run, after its pilot and at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.log import dollars

if TYPE_CHECKING:
    from producer.bill.budget import Budget
    from producer.bill.estimate import Estimate, Range
    from producer.bill.worst import Worst

_UNKNOWN = "unknown"


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
    """Return a cost that is not known yet, such as ``0.18 dollars (0.12 to 0.33)``; or ``unknown``."""
    if cost is None:
        return _UNKNOWN
    return f"{dollars(cost.expected)} dollars ({dollars(cost.low)} to {dollars(cost.high)})"


def paid_of(estimated: Range | None, paid_usd: float | None) -> str:
    """Return the last line of a run: what was paid, beside what was estimated."""
    paid = _UNKNOWN if paid_usd is None else f"{dollars(paid_usd)} dollars"
    return f"paid: {paid}; estimated: {cost_of(estimated)}"


def stopped_by(budget: Budget, worst: Worst) -> str:
    """Return why the next row is not sent, whose job can cost *worst*: what is spent, left and needed."""
    parts = []
    if budget.cost is not None:
        line, needed = budget.cost, _UNKNOWN if worst.micro_usd is None else _dollars(worst.micro_usd)
        doubt = f" ({_dollars(line.in_doubt)} in doubt)" if line.in_doubt else ""
        spent = f"{_dollars(line.spent)} dollars are spent{doubt}"
        parts.append(f"{spent}, {_dollars(line.left)} are left; the next row can cost {needed}")
    if budget.calls is not None:
        made, left = budget.calls.spent, budget.calls.left
        parts.append(
            f"{made:,} calls are or may be made, {left:,} are left; the next row can make {worst.calls}"
        )
    return ". ".join(parts)


def too_small(budget: Budget, row: int, worst: Worst) -> str:
    """Return why *budget* sends nothing, and which limits would send *row*, whose job can cost *worst*."""
    least = []
    if budget.cost is not None and worst.micro_usd is not None:
        least.append(f"--max-cost {_dollars(worst.micro_usd)}")
    if budget.calls is not None:
        least.append(f"--max-calls {worst.calls}")
    return f"it sends not even one row: what row {row} can cost needs at least {' and '.join(least)}"


def _dollars(micros: int) -> str:
    return dollars(micros / 1_000_000)


def _counts(many: Range) -> str:
    return f"{many.expected:,.0f} ({many.low:,.0f} to {many.high:,.0f})"
