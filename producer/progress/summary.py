"""Says at the end of a run what became of its rows and what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from producer.progress.amounts import amount, duration, pace
from producer.progress.parts import avoided_cost_of, cost_of, reasons

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from producer.progress.counts import Counts

#: Where the answers of done rows are from, in words.
_SOURCES: Final[Mapping[str, str]] = {
    # Not by its calls: a row may take several.
    "call": "new",
    "cache": "from cache",
    "attached": "attached to a job under way",
    "stale": "stale",
    "default": "fallback",
}


def summary(counts: Counts, seconds: float) -> list[str]:
    """Return the lines for people; *seconds* is the time of this start of the run."""
    return [*_rows(counts), *_money(counts), _time(counts, seconds)]


def _rows(counts: Counts) -> Iterator[str]:
    ended = [f"{number:,} {status}" for status, number in _by_number(counts.by_status)]
    before = [f"{counts.skipped:,} answered before"] if counts.skipped else []
    queued = [f"{counts.queued:,} still queued"] if counts.queued else []
    is_part = counts.total is not None and counts.rows < counts.total
    rows = f"{counts.rows:,} of {counts.total:,} rows" if is_part else amount(counts.rows, "row")
    yield f"{rows}: {', '.join([*ended, *before, *queued]) or 'none ended'}"
    if counts.by_source:
        yield f"done: {', '.join(_sources(counts))}"
    if found := reasons(counts, most=10):
        yield f"without an answer: {', '.join(found)}"


def _by_number(counted: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the names and their numbers, the largest first; equal ones by their names."""
    return sorted(counted.items(), key=lambda each: (-each[1], each[0]))


def _sources(counts: Counts) -> Iterator[str]:
    for source, words in _SOURCES.items():
        if number := counts.by_source[source]:
            yield f"{number:,} {words}"
    for source, number in counts.by_source.items():
        if source not in _SOURCES:
            yield f"{number:,} {source}"


def _money(counts: Counts) -> Iterator[str]:
    if counts.calls or counts.by_source:
        yield f"cost: {cost_of(counts)} for {amount(counts.calls, 'paid call')}"
    if counts.avoided_micro_usd or counts.avoided_unknown:
        yield f"cost avoided: {avoided_cost_of(counts)}"


def _time(counts: Counts, seconds: float) -> str:
    rate = f", {pace(counts.ended / seconds)}" if counts.ended and seconds >= 1 else ""
    return f"time: {duration(seconds) if seconds >= 1 else f'{seconds:.1f} s'}{rate}"
