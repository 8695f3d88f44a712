"""Puts a run into a few words: the same ones on a terminal, in lines, and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from producer.progress.amounts import amount, dollars, duration, pace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from producer.progress.counts import Counts
    from producer.progress.view import Moment, Wait

#: How a row ends that needs nobody to look at it.
FINE: Final = frozenset({"done", "admitted", "attached", "hit"})
#: The reasons that a display names; the others are counted.
_MOST_REASONS: Final = 5


def first_line(task: str, inputs: Sequence[str]) -> str:
    """Return what a person reads before anything is loaded."""
    others = f" and {len(inputs) - 1:,} more" if len(inputs) > 1 else ""
    first = "stdin" if inputs and inputs[0] == "-" else "".join(inputs[:1])
    return printable(f"{task}: reading {first}{others}".rstrip())


def printable(line: str) -> str:
    """Return *line* as one line: names of files and reasons of services are not ours."""
    if line.isprintable():
        return line
    # Late: it brings the engine with it.
    from askonce.line import one_line

    return one_line(line)


def writable(line: str, encoding: str | None) -> str:
    """Return *line* with a question mark for each character that *encoding* does not have."""
    name = encoding or "utf-8"
    return line.encode(name, "replace").decode(name)


def how_far(moment: Moment) -> list[str]:
    """Return rows, rate and times."""
    counts = moment.counts
    of = "" if counts.total is None else f" of {counts.total:,}"
    parts = [f"{counts.finished:,}{of} rows" if of else amount(counts.finished, "row")]
    if counts.skipped:
        parts.append(f"{counts.skipped:,} answered before")
    if counts.queued:
        parts.append(f"{counts.queued:,} queued")
    if moment.rate is not None:
        parts.append(pace(moment.rate))
    if moment.seconds_left is not None:
        parts.append(f"{duration(moment.seconds_left)} left")
    parts.append(f"{duration(moment.seconds)} so far")
    return parts


def paid(counts: Counts) -> list[str]:
    """Return the calls and their cost, then the avoided ones; nothing while no row has an answer."""
    avoided = counts.by_source["cache"] + counts.by_source["attached"]
    parts = []
    if counts.calls or counts.by_source:
        parts.append(f"{amount(counts.calls, 'call')}: {cost_of(counts)}")
    if avoided:
        parts.append(f"{amount(avoided, 'call')} avoided: {avoided_cost_of(counts)}")
    return parts


def cost_of(counts: Counts) -> str:
    """Return what the calls cost; a price that is unknown is named, not left out."""
    return _money(counts.cost_micro_usd, counts.unpriced, counts.calls, "call")


def avoided_cost_of(counts: Counts) -> str:
    """Return what the avoided calls would have cost."""
    return _money(counts.avoided_micro_usd, counts.avoided_unknown, None, "call")


def _money(micro_usd: int, unknown: int, of: int | None, what: str) -> str:
    if not unknown:
        return dollars(micro_usd)
    if unknown == of or not micro_usd:
        return "unknown price"
    return f"{dollars(micro_usd)} and {amount(unknown, what)} of unknown price"


def not_fine(counts: Counts) -> list[str]:
    """Return how many rows ended without an answer, by how they ended."""
    return [f"{number:,} {status}" for status, number in counts.by_status.most_common() if status not in FINE]


def reasons(counts: Counts, most: int | None = _MOST_REASONS) -> list[str]:
    """Return why rows have no answer, the most frequent reasons first, and how many others there are.

    What only repeats how the rows ended is left out: an invalid row is counted as invalid.
    """
    left = counts.by_reason - counts.by_status
    named = left.most_common(most)
    parts = [printable(f"{number:,} {reason}") for reason, number in named]
    others = left.total() - sum(number for _, number in named)
    return [*parts, f"{others:,} others"] if others else parts


def waiting(wait: Wait) -> str:
    """Return why no row goes on, and since when."""
    return printable(f"waiting for {wait.why}, for {duration(wait.seconds)}")
