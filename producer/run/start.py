"""One start of a run, from the words of its caller to its exit code."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from askonce.cli.exits import Exit
from askonce.errors import StoreUnavailable
from producer.inputs import as_they_come
from producer.progress.counts import Counts
from producer.progress.failures import FailureLines
from producer.progress.summary import summary
from producer.run.again import has_all_of
from producer.run.chosen import chosen_rows, number_of_rows, unless_changed
from producer.run.counted import Counted
from producer.run.ends import bill, exit_code, how_to_go_on
from producer.run.hold import Hold
from producer.run.limits import NoBudget
from producer.run.new_run import new_run, new_watch, patience_of
from producer.run.opened import new_round, of_output, open_output
from producer.run.output import Stream, beside
from producer.run.stops import end_unread, hear_last, renew, signals
from producer.run.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.rows import BadRow, Row
    from askonce.runs import RunState
    from producer.bill.estimate import Range
    from producer.client import Client
    from producer.inputs.inputs import Inputs
    from producer.progress.reporter import Progress
    from producer.run.limits import Budget, Stop
    from producer.run.opened import Opened
    from producer.run.report import Report
    from producer.run.run import Run
    from producer.run.wanted import Wanted
    from producer.run.watch import Watch


@dataclass(slots=True, kw_only=True)
class Start:
    """One start of a run."""

    wanted: Wanted
    client: Client
    inputs: Inputs
    progress: Progress
    budget: Budget = field(default_factory=NoBudget)
    #: The last row to ask for; None asks for all.
    last_row: int | None = None
    on_report: Callable[[Report], object] = lambda _report: None
    #: What this start was estimated to cost, where that was looked at.
    estimated: Range | None = None
    counts: Counts = field(default_factory=Counts)

    def go(self) -> Exit:
        """Ask for every row that has no end yet, and return how the run ended.

        Raises:
            InputInvalid: an input cannot be read.
            OutputUnusable: the output would replace an input, or something that is no file.
            RunTaken, RunDiffers, JournalInvalid, OutputFailed: the run cannot begin, or not go on.
            LimitImpossible: a limit cannot be held, or sends no row.
            StoreUnavailable, SendFailed: the store or the broker did not answer; the same command goes on.
        """
        with of_output(self.wanted), ExitStack() as stack:
            self.counts.total = number_of_rows(self.inputs, self.wanted)
            if self.counts.total == 0:
                # Nothing is begun.
                return self._refuse_empty()
            version = self.client.specs[self.wanted.task].version
            fresh = new_round(self.wanted, self.inputs, version)
            return self._go(open_output(stack, self.wanted, fresh, self.inputs.names, self.budget))

    def _go(self, opened: Opened) -> Exit:
        began, name = time.monotonic(), opened.round.name
        self._begin_budget(opened)
        failures = FailureLines(self.progress.error, None if self.wanted.as_json else 20)
        counted = Counted(opened.sink, self.counts, failures)
        trouble = Trouble(self.progress, patience_of(self.wanted))
        run = self._new_run(opened, counted, trouble)
        if isinstance(opened.output, Stream):
            opened.output.on_closed = partial(end_unread, run)
        self.progress.update(self.counts)
        hold = Hold(self.client.store.runs, name, self.wanted.task, self.counts, opened.before)
        state: RunState = "stopped"
        self._claim(hold)
        try:
            opened.begin()
            with self._new_watch(name, trouble, partial(renew, hold, run)), signals(run):
                run.execute(self._rows(opened))
            if self.counts.by_status["cancelled"] or not run.waits:
                # All rows may have their end before the producer hears of the request.
                with suppress(StoreUnavailable):
                    hear_last(hold, run)
            state = self._finish(opened, run, counted)
        finally:
            self.counts.end_reading(queued=run.under_way)
            hold.release(state)
            failures.finish(self._place_of_failures())
            told = [
                *bill(self.counts, opened.before, self.estimated),
                *how_to_go_on(run, counted, kept=opened.files is not None),
            ]
            lines = [*summary(self.counts, time.monotonic() - began), *told]
            self.progress.finish(lines if self.counts.rows or run.stop else [])
        return self._exit(run.stop, counted)

    def _begin_budget(self, opened: Opened) -> None:
        kept, inputs = opened.kept, self.inputs
        # What can be read only once is read by the run alone.
        rows = chosen_rows(inputs, self.wanted, self.last_row) if inputs.replayable else ()
        self.budget.begin(rows, kept.has_end if kept else lambda _row: False, opened.journal.reserve)

    def _rows(self, opened: Opened) -> Iterator[Row | BadRow | None]:
        rows = chosen_rows(self.inputs, self.wanted, self.last_row)
        if self.inputs.replayable:
            return rows
        come = as_they_come(rows)
        if opened.kept is None:
            return come
        all_rows = self.wanted.limit is None
        return unless_changed(come, opened.contents, opened.journal.keep_content, all_rows=all_rows)

    def _new_watch(self, name: str, trouble: Trouble, renew: Callable[[], object]) -> Watch:
        return new_watch(self.wanted, self.client, name, progress=self.progress, trouble=trouble, renew=renew)

    def _new_run(self, opened: Opened, counted: Counted, trouble: Trouble) -> Run:
        return new_run(
            self.wanted,
            self.client,
            opened,
            sink=counted,
            budget=self.budget,
            progress=self.progress,
            trouble=trouble,
            on_report=self.on_report,
        )

    def _claim(self, hold: Hold) -> None:
        """Take the run in the store; one without an output has no other producer to fear."""
        try:
            hold.claim()
        except StoreUnavailable:
            if self.wanted.file is not None:
                raise

    def _finish(self, opened: Opened, run: Run, counted: Counted) -> RunState:
        """Give a complete output its name; return what is said of the run to those who watch."""
        if run.stop is not None:
            return "stopped"
        if self.last_row is not None:
            # The rows of a pilot only.
            return "stopped"
        if opened.files is None or not self.counts.rows:
            return "stopped" if run.under_way or counted.open else "done"
        opened.files.finish()
        if counted.open:
            return "stopped"
        if has_all_of(self.wanted, opened.round):
            opened.journal.end()
        return "done"

    def _place_of_failures(self) -> str:
        file = self.wanted.file
        return str(beside(file, "errors.jsonl")) if file is not None else "--json"

    def _exit(self, stop: Stop | None, counted: Counted) -> Exit:
        if stop is None and not self.counts.rows:
            return self._refuse_empty()
        return exit_code(stop, self.counts, failed=counted.failed > 0)

    def _refuse_empty(self) -> Exit:
        self.progress.error(f"{self.inputs.names[0]}: empty: it has no rows")
        return Exit.USAGE
