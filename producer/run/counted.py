"""Counts what a run does, and says which rows failed, on the way of each report to its sink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.line import one_line
from askonce.spend import Spend
from producer.run.report import SUPERSEDED
from tasks.reasons import cure_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from producer.progress.counts import Counts
    from producer.progress.failures import FailureLines
    from producer.run.journal import Line
    from producer.run.report import Report
    from producer.run.sinks import Sink

#: Statuses of rows that would end like that again: the fault is in the input.
_OF_THE_INPUT: Final = frozenset({"invalid", SUPERSEDED})


class Counted:
    """A sink that counts."""

    def __init__(self, sink: Sink, counts: Counts, failures: FailureLines) -> None:
        """Pass everything on to *sink*."""
        self._sink, self._counts, self._failures = sink, counts, failures
        #: Rows without an answer, those of earlier starts included.
        self.failed = 0
        #: Rows that the same command asks for again.
        self.open = 0

    def line_of(self, row: int) -> Line | None:
        """Count a row that is read, and one that has its end."""
        line = self._sink.line_of(row)
        self._counts.rows += 1
        if line is not None and line.failed:
            self._fail_before(row)
        elif line is not None:
            self._counts.skipped += 1
        return line

    def report_of(self, row: int) -> Report | None:
        """Pass it on."""
        return self._sink.report_of(row)

    def group_of(self, row: int) -> int:
        """Pass it on."""
        return self._sink.group_of(row)

    def send(self, rows: Sequence[int]) -> None:
        """Pass it on."""
        self._sink.send(rows)

    def ended(self, report: Report) -> None:
        """Count the end of a row."""
        self._sink.ended(report)
        self.failed += not report.ok
        self.open += report.is_open
        self._counts.end(report.status, source=_source_of(report), reason=report.reason)
        if report.calls:
            self._counts.pay(Spend(cost_usd=report.cost_usd).micro_usd, report.calls)
        if report.source in ("cache", "call") and (report.calls == 0 or report.avoided_usd):
            self._counts.avoid(Spend(cost_usd=report.avoided_usd).micro_usd)
        if report.error is not None and report.status != "cancelled":
            # The names of fields are the row's own.
            self._failures.add(one_line(f"{report.place or f'row {report.row}'}: {_words(report)}"))

    def count_under_way(self, rows: int) -> None:
        """Keep how many *rows* wait for the ends of their jobs."""
        self._counts.queued = rows

    def tick(self) -> None:
        """Pass it on."""
        self._sink.tick()

    def sync(self) -> None:
        """Pass it on."""
        self._sink.sync()

    def _fail_before(self, row: int) -> None:
        report = self._sink.report_of(row)
        assert report is not None
        self.failed += 1
        self._counts.fail_before(report.status, report.reason)
        self._failures.add_before(is_asked_again=report.status not in _OF_THE_INPUT)


def _source_of(report: Report) -> str:
    """Return where an answer is from, as this row sees it."""
    if report.source == "call" and report.calls == 0 and report.asked == "attached":
        return "attached"
    if report.source == "cache" and report.calls:
        # An earlier start of this run asked for it, and was killed.
        return "call"
    return report.source or ""


def _words(report: Report) -> str:
    """Return why a row has no answer, and what a person can do about it."""
    error = dict(report.error or {})
    others = error.pop("others", {})
    words = " ".join(str(value) for value in error.values() if value not in ("", None))
    if isinstance(others, dict):
        words = "; ".join([words, *(f"{name} {reason}" for name, reason in others.items())])
    if report.later_row is not None:
        words = f"{words} (row {report.later_row})"
    cure = cure_of(str(error.get("reason", "")), kind=str(error.get("kind", "")), key=report.key or "ID")
    return f"{words}: {cure}" if cure else words
