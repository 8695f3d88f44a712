"""What a person reads of a bill: before a run, after its pilot and at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.log import dollars

if TYPE_CHECKING:
    from producer.bill.budget import Budget
    from producer.bill.estimate import Estimate, Range

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


def stopped_by(budget: Budget) -> str:
    """Return why no more rows are sent, for a *budget* that is exhausted: what is spent, and what remains."""
    parts = []
    if budget.cost is not None:
        spent, left = dollars(budget.cost.spent / 1_000_000), dollars(budget.cost.left / 1_000_000)
        doubt = budget.cost.in_doubt / 1_000_000
        maybe = f", of which {dollars(doubt)} are in doubt" if doubt else ""
        parts.append(f"{spent} dollars are spent{maybe}; {left} are less than the next row can cost")
    if budget.calls is not None:
        parts.append(f"{budget.calls.spent:,} calls are made; {budget.calls.left:,} are left")
    return " and ".join(parts)


def _counts(many: Range) -> str:
    return f"{many.expected:,.0f} ({many.low:,.0f} to {many.high:,.0f})"
