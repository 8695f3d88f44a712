"""Asks for the answers of a file's rows ahead."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, assert_never

from askonce.cli.explained import read_file, rows_of
from askonce.errors import FingerprintMismatch, JobFailed, LayoutNewer, PayloadInvalid, RecordDamaged
from askonce.outcomes import Admitted, Attached, Backoff, Conflict, Duplicate, Hit, Negative, Unreadable
from askonce.rows import BadRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.cli.site import Site
    from askonce.outcomes import Outcome
    from askonce.rows import Row
    from askonce.spec import JobSpec

#: What concerns one row only.
_OF_A_ROW = (PayloadInvalid, JobFailed, FingerprintMismatch, LayoutNewer, RecordDamaged)


class Warmed(NamedTuple):
    """What became of the rows."""

    #: How many had a fresh answer, were asked for, are under way already, or have a failure that is kept.
    counts: dict[str, int]
    #: The number of each other row, and why it was not asked for.
    refused: list[tuple[int, str]]
    #: Whether rows are left that would have been more new jobs than were allowed.
    stopped: bool

    @property
    def text(self) -> str:
        """All of it in one line."""
        words = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in self.counts.items())
        return f"{words}; stopped at --max-calls" if self.stopped else words


def warm_rows(
    site: Site,
    task: str,
    what: str,
    read: Callable[[str, JobSpec], Iterator[Row | BadRow]] | None,
    *,
    tenant: str,
    most: int | None,
    report: Callable[[int], None],
) -> Warmed:
    """Enqueue each row of *what*, at most so many new jobs; *report* gets how many were looked at.

    Raises:
        click.UsageError: the file cannot be read.
        StoreUnavailable, SendFailed: servers did not answer.
    """
    counts, refused = Counter[str](), list[tuple[int, str]]()
    for seen, row in enumerate(rows_of(what, site.specs[task], read or read_file), 1):
        if most is not None and counts["asked"] >= most:
            return _warmed(counts, refused, stopped=True)
        report(seen)
        if isinstance(row, BadRow):
            refused.append((row.number, f"{row.field} {row.reason}".lstrip()))
            continue
        try:
            # Who takes no stale answer is told of the job that makes it anew: each such job counts.
            outcome = site.enqueue(task, row.payload, tenant=tenant, stale_while_revalidate=0.0)
            counts[_became(outcome)] += 1
        except _OF_A_ROW as error:
            refused.append((row.number, str(error)))
    return _warmed(counts, refused, stopped=False)


def _warmed(counts: Counter[str], refused: list[tuple[int, str]], *, stopped: bool) -> Warmed:
    known = {name: counts[name] for name in ("fresh_already", "asked", "under_way", "failing")}
    return Warmed({**known, "refused": len(refused)}, refused, stopped)


def _became(outcome: Outcome) -> str:
    match outcome:
        case Hit(answer=answer) if answer.source == "cache":
            return "fresh_already"
        case Admitted():
            return "asked"
        case Attached() | Duplicate() | Hit():
            return "under_way"
        case Negative() | Backoff() | Unreadable() | Conflict():
            return "failing"
    assert_never(outcome)
