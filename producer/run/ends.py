"""What a start of a run says at its end, and its exit code."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from askonce.cli.exits import Exit
from producer.bill.words import paid_of
from producer.progress.amounts import amount
from producer.progress.parts import cost_of
from producer.run.limits import LIMIT_REACHED, TAKEN

if TYPE_CHECKING:
    from producer.bill.estimate import Range
    from producer.progress.counts import Counts
    from producer.run.begin import Paid
    from producer.run.counted import Counted
    from producer.run.limits import Stop
    from producer.run.run import Run


def bill(counts: Counts, before: Paid, estimated: Range | None) -> list[str]:
    """Return what was paid, beside what was estimated, and with what earlier starts paid *before*."""
    lines, paid = [], counts.cost_micro_usd
    if before.calls:
        all_starts = counts.copy()
        all_starts.pay(before.micro_usd, before.calls - before.unpriced)
        all_starts.pay(None, before.unpriced)
        lines.append(f"cost with earlier starts: {cost_of(all_starts)}")
    # Where nothing was to be called there is nothing to compare.
    if estimated is not None and estimated.high > 0:
        lines.append(paid_of(estimated, None if counts.unpriced else paid / 1_000_000))
    return lines


def how_to_go_on(run: Run, counted: Counted, *, kept: bool) -> list[str]:
    """Return what a person does next; nothing where the run is complete."""
    lines = [] if run.stop is None else [f"stopped: {run.stop.why}"]
    if run.under_way and (run.stop is None or run.stop.exit_code != TAKEN):
        lines.append(
            f"{amount(run.under_way, 'row is', 'rows are')} with the workers; to end those that wait unpaid:"
            f" python -m producer cancel {quote(run.name)}"
        )
    if run.stop is not None or counted.open:
        again = "the same command goes on and asks again for nothing that is answered"
        if run.stop is not None and run.stop.exit_code == LIMIT_REACHED and not run.stop.cancels:
            again = (
                "raise the limit: the same command then goes on, and asks again for nothing that is answered"
            )
        lines.append(again if kept else "answers are kept in the store: the same command gets them")
    return lines


def exit_code(stop: Stop | None, counts: Counts, *, failed: bool) -> Exit:
    """Return the exit code of a start that read rows; *failed* is whether some of them have no answer."""
    if stop is not None:
        return Exit(stop.exit_code)
    if counts.by_status["unavailable"]:
        return Exit.UNAVAILABLE
    if counts.by_status["timeout"]:
        return Exit.TIMED_OUT
    return Exit.FAILED if failed else Exit.OK
