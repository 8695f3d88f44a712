"""Where reports go: to the journal and from there to the output, or straight to stdout."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

import orjson

from producer.run.again import NONE
from producer.run.journal import Line, Lines
from producer.run.output import InOrder
from producer.run.report import SUPERSEDED, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from producer.run.journal import Journal
    from producer.run.output import Files, Stream

#: Seconds between two times at which the journal is brought to the disk: what a power cut may take. The
#: answers are in the store all the same.
_SYNC_EVERY: Final = 1.0


class Sink(Protocol):
    """Where the reports of a run go."""

    def line_of(self, row: int) -> Line | None:
        """Take in *row*, the next one of the input; return its line where an earlier start has its end."""

    def report_of(self, row: int) -> Report | None:
        """Return the report that an earlier start kept of *row*; None where none did."""

    def group_of(self, row: int) -> int:
        """Return which group an earlier start sent *row* in; 0 where none did."""

    def send(self, rows: Sequence[int]) -> None:
        """Take in that *rows* are sent now, as one group."""

    def ended(self, report: Report) -> None:
        """Take the end of a row."""

    def tick(self) -> None:
        """Keep what was taken, once in a while."""

    def sync(self) -> None:
        """Keep all that was taken."""


class Kept:
    """Keeps each report in a journal, and writes the output in the order of the input."""

    def __init__(
        self,
        journal: Journal,
        output: Files | Stream,
        lines: Lines | None = None,
        sent: Sequence[int] = (),
        *,
        failed: Container[int] = NONE,
        before: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Go on where *lines* end; *failed* rows whose failure is *before* this offset are asked for again.

        *sent* has the group of each row, by its number.
        """
        self._journal, self._output = journal, output
        self._lines, self._sent = Lines() if lines is None else lines, sent
        self._failed, self._before, self._clock = failed, before, clock
        self._order = InOrder(journal.line_at, output.write)
        self._synced_at = clock()

    def line_of(self, row: int) -> Line | None:
        """Take in *row*; return its line where the journal has its end."""
        self._order.read(row)
        line = self._end_of(row)
        if line is not None:
            self._order.ended(row, line.offset, failed=line.failed)
        return line

    def has_end(self, row: int) -> bool:
        """Return whether an earlier start has the end of *row*."""
        return self._end_of(row) is not None

    def _end_of(self, row: int) -> Line | None:
        line = self._lines[row]
        if line is None or line.open:
            return None
        is_failed = line.failed and not line.superseded
        return None if is_failed and row in self._failed and line.offset < self._before else line

    def report_of(self, row: int) -> Report | None:
        """Return the report that an earlier start kept of *row*; None where none did."""
        line = self._lines[row]
        return None if line is None else Report.of(orjson.loads(self._journal.line_at(line.offset)))

    def group_of(self, row: int) -> int:
        """Return which group an earlier start sent *row* in; 0 where none did."""
        return self._sent[row] if row < len(self._sent) else 0

    def send(self, rows: Sequence[int]) -> None:
        """Keep that *rows* are sent now, as one group, and the ends of rows before them."""
        self._journal.send(rows)

    def ended(self, report: Report) -> None:
        """Keep *report*."""
        offset = self._journal.add(report)
        self._lines[report.row] = Line(offset, not report.ok, report.is_open, report.status == SUPERSEDED)
        self._order.ended(report.row, offset, failed=not report.ok)

    def tick(self) -> None:
        """Bring the journal to the disk, once in a while."""
        if self._clock() - self._synced_at >= _SYNC_EVERY:
            self.sync()

    def sync(self) -> None:
        """Bring the journal to the disk, and let readers see the output so far."""
        self._synced_at = self._clock()
        self._journal.sync()
        self._output.flush()


class Direct:
    """Writes each report as it comes: rows whose enqueuing is their end come in order."""

    def __init__(self, output: Stream, *, results_only: bool) -> None:
        """Write to *output*; with *results_only*, a row without an answer is written nowhere."""
        self._output, self._results_only = output, results_only

    def line_of(self, row: int) -> Line | None:  # noqa: ARG002  # as Sink
        """Return None: nothing is kept."""
        return None

    def report_of(self, row: int) -> Report | None:  # noqa: ARG002  # as Sink
        """Return None: nothing is kept."""
        return None

    def group_of(self, row: int) -> int:  # noqa: ARG002  # as Sink
        """Return 0: nothing is kept."""
        return 0

    def send(self, rows: Sequence[int]) -> None:
        """Do nothing."""

    def ended(self, report: Report) -> None:
        """Write *report*."""
        if report.result is not None or not self._results_only:
            self._output.write(report.to_json(), not report.ok)

    def tick(self) -> None:
        """Let readers see the output so far: the next row may come much later."""
        self._output.flush()

    sync = tick
