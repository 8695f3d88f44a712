"""One start of a run, from the words of its caller to its exit code."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final

from askonce.cli.exits import Exit
from askonce.controls import Pause
from askonce.errors import PayloadInvalid, StoreUnavailable
from askonce.key import identify
from askonce.rows import Row
from producer.bill.words import paid_of
from producer.inputs import InputChanged
from producer.progress.amounts import dollars
from producer.progress.counts import Counts
from producer.progress.failures import FailureLines
from producer.progress.summary import summary
from producer.run.ask import Asker
from producer.run.begin import go_on, holder, name_of, new_uid, open_journal, require_usable
from producer.run.counted import Counted
from producer.run.ends import how_to_go_on, of_output, renew, signals
from producer.run.hold import Hold
from producer.run.journal import Journal, Round
from producer.run.limits import MaxFailures, NoBudget, Stop
from producer.run.output import Files, JsonLines, Results, Stream, beside
from producer.run.run import Run
from producer.run.sinks import Direct, Kept
from producer.run.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.rows import BadRow
    from askonce.runs import RunState
    from producer.bill.estimate import Estimate
    from producer.client import Client
    from producer.inputs.inputs import Inputs
    from producer.progress.reporter import Progress
    from producer.run.limits import Budget
    from producer.run.report import Report
    from producer.run.run import Sink
    from producer.run.wanted import Wanted

#: Failures that stop a run whose caller sets no limit: a bad prompt must not burn a whole file.
_MAX_FAILURES: Final = MaxFailures(percent=5.0)
#: Seconds for which a run that has a journal waits for servers that do not answer.
_PATIENCE: Final = 300.0
#: Seconds for which a row is waited for whose run has none.
_TIMEOUT: Final = 600.0
#: Rows ahead of each slot of the workers; and in all, where few or none are known.
_AHEAD_OF_A_SLOT, _AHEAD = 10, 1000
#: The same rows are drawn each time.
_SEED: Final = 2026


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
    #: What the run was estimated to cost, where somebody looked.
    estimate: Estimate | None = None
    counts: Counts = field(default_factory=Counts)
    _failures: FailureLines = field(init=False)
    #: By earlier starts of the run, in millionths of a dollar.
    _paid_before: int = field(default=0, init=False)
    _failed_jobs: set[str] = field(default_factory=set, init=False)
    _kept: Kept | None = field(default=None, init=False)

    def go(self) -> Exit:
        """Ask for every row that has no end yet, and return how the run ended.

        Raises:
            InputInvalid: an input cannot be read.
            RunTaken, RunDiffers, JournalInvalid, OutputFailed: the run cannot begin, or not go on.
            StoreUnavailable: the store did not answer; the same command goes on.
        """
        with of_output(self.wanted), ExitStack() as stack:
            return self._go(stack)

    def _go(self, stack: ExitStack) -> Exit:
        began, wanted = time.monotonic(), self.wanted
        self.counts.total = self._total()
        if self.counts.total == 0:
            # Nothing is begun.
            self.progress.error(f"{self.inputs.names[0]}: empty: it has no rows")
            return Exit.USAGE
        self._failures = FailureLines(self.progress.error, None if self.wanted.as_json else 20)
        round_, sink, output, journal = self._open(stack)
        counted = Counted(sink, self.counts, self._failures)
        run = self._new_run(round_, counted)
        self.progress.update(self.counts)
        hold, stop = Hold(self.client.store.runs, round_.name, wanted.task, self.counts), None
        state: RunState = "stopped"
        self._claim(hold)
        try:
            with self._watch(round_, partial(renew, hold, run)), signals(run):
                stop = run.execute(self.rows())
            if stop is None and self.last_row is None and self.counts.rows and isinstance(output, Files):
                output.finish()
                if not counted.open:
                    journal.end()
                    state = "done"
            elif stop is None and not run.under_way and not counted.open:
                state = "done"
        finally:
            self.counts.queued = run.under_way
            hold.release(state)
            self._failures.finish(self._place_of_failures())
            told = [*self._bill(), *how_to_go_on(run, counted, kept=isinstance(output, Files))]
            lines = [*summary(self.counts, time.monotonic() - began), *told] if self.counts.rows else []
            self.progress.finish(lines)
        return self._exit(stop, counted)

    # What is read.

    def _total(self) -> int | None:
        """Return how many rows will be read; None where the inputs cannot be read twice."""
        total, wanted = self.inputs.check(), self.wanted
        chosen = wanted.limit if wanted.sample is None else wanted.sample
        return total if total is None or chosen is None else min(total, chosen)

    def rows(self) -> Iterator[Row | BadRow]:
        """Return the rows that the caller wants."""
        wanted, rows = self.wanted, self._same_rows()
        if self.last_row is not None:
            last = self.last_row
            rows = takewhile(lambda row: row.number <= last, rows)
        if wanted.limit is not None:
            return islice(rows, wanted.limit)
        if wanted.sample is None:
            return rows
        total = self.inputs.check() or 0
        chosen = set(random.Random(_SEED).sample(range(1, total + 1), min(wanted.sample, total)))  # noqa: S311  # no secret
        return (row for row in rows if row.number in chosen)

    def _same_rows(self) -> Iterator[Row | BadRow]:
        """Yield the rows; what can be read only once has no digest, so each row is compared with its line.

        Raises:
            InputChanged: a row is another one than at the start of the run.
        """
        spec, kept = self.client.specs[self.wanted.task], None if self.inputs.replayable else self._kept
        for row in self.inputs.rows():
            if kept is not None and isinstance(row, Row) and (key := kept.key_of(row.number)):
                with suppress(PayloadInvalid):
                    if identify(spec, row.payload, self.wanted.tenant).key != key:
                        reason = "is another row than when the run began: choose another --out"
                        raise InputChanged(row.place or self.inputs.names[0], reason)
            yield row

    # What is written.

    def _open(self, stack: ExitStack) -> tuple[Round, Sink, Files | Stream, Journal]:
        """Open the journal and the output of this run."""
        wanted, fresh = self.wanted, self._round()
        if wanted.file is not None:
            require_usable(wanted.file, self.inputs.names)
            journal = stack.enter_context(open_journal(wanted.file))
            past, round_ = go_on(journal, fresh, beside(wanted.file, "journal"))
            self.budget.begin(past.micro_usd, past.calls)
            self._paid_before, self._failed_jobs = past.micro_usd, past.failed_jobs
            files = stack.enter_context(Files(wanted.file))
            again = past.began_at if round_.retry_failed else 0
            self._kept = Kept(journal, files, past.lines, asked_again_before=again)
            return round_, self._kept, files, journal
        stream = Stream(sys.stdout.buffer, JsonLines() if wanted.writes_rows else Results())
        # Rows end in any order: they are kept until those before them have ended.
        journal = stack.enter_context(Journal(tempfile.TemporaryFile("w+b")))  # noqa: SIM115  # the journal closes it
        if wanted.waits:
            return fresh, Kept(journal, stream), stream, journal
        return fresh, Direct(stream, results_only=not wanted.writes_rows), stream, journal

    def _round(self) -> Round:
        wanted, now, uid = self.wanted, time.time(), new_uid()
        name = wanted.run or name_of(wanted.task, wanted.tenant, self.inputs.names)
        if wanted.run is None and wanted.file is None:
            # Nothing is kept that another start could go on with: each one is a run of its own.
            name = f"{name}-{uid[:6]}"
        return Round(
            name=name,
            uid=uid,
            task=wanted.task,
            version=self.client.specs[wanted.task].version,
            tenant=wanted.tenant,
            inputs=self.inputs.names,
            digest=self.inputs.digest() if wanted.file is not None else "",
            started=now,
            holder=holder(),
            refresh=wanted.refresh,
            retry_failed=wanted.retry_failed,
            not_before=self._not_before(now),
        )

    def _not_before(self, now: float) -> float | None:
        """Return since when answers count: the same for a start that goes on."""
        if self.wanted.refresh:
            return now
        return None if self.wanted.max_age is None else now - self.wanted.max_age

    # What is asked.

    def _new_run(self, round_: Round, sink: Sink) -> Run:
        wanted, kept = self.wanted, self.wanted.file is not None
        options = {"tenant": wanted.tenant, "on_duplicate": wanted.on_duplicate, "run": round_.name}
        asker = Asker(
            is_stopped=lambda: run.stop is not None,
            client=self.client,
            task=wanted.task,
            uid=round_.uid,
            options=options,
            retries_failures=round_.retry_failed or round_.refresh,
            not_before=round_.not_before,
            patience=_PATIENCE if kept else 0.0,
            may_leave_run=not kept and wanted.run is None,
            on_trouble=lambda trouble: self.progress.wait(str(trouble)),
        )
        default = None if kept else _TIMEOUT
        run = Run(
            store=self.client.store,
            asker=asker,
            name=round_.name,
            sink=sink,
            key_fields=self.client.specs[wanted.task].key_fields,
            waits=wanted.waits,
            timeout=default if wanted.timeout is None else wanted.timeout,
            max_queued=self._ahead() if wanted.max_queued is None else wanted.max_queued,
            strict=wanted.strict,
            budget=self.budget,
            max_failures=wanted.max_failures or (_MAX_FAILURES if wanted.waits else MaxFailures()),
            on_jobs=cache(partial(self._warn_of_workers, round_.name)),
            on_report=self.on_report,
            failed_jobs=self._failed_jobs,
            on_under_way=self._count_under_way,
        )
        return run

    def _count_under_way(self, count: int) -> None:
        self.counts.queued = count

    def _ahead(self) -> int:
        """Return how many rows may be ahead of the workers."""
        try:
            workers = self.client.store.announcements.workers()
        except StoreUnavailable:
            # The first group reports that.
            return _AHEAD
        slots = sum(worker.slots for worker in workers if self.wanted.task in worker.tasks)
        return max(_AHEAD, _AHEAD_OF_A_SLOT * slots)

    def _warn_of_workers(self, run: str) -> None:
        """Say once if no living worker runs the jobs; they wait then."""
        try:
            heard = self.client.listening(self.wanted.task, tenant=self.wanted.tenant, run=run)
        except StoreUnavailable:
            # Whether the jobs themselves are in the store is what counts.
            return
        if not heard.ok:
            self.progress.note(str(heard.finding()))

    def _claim(self, hold: Hold) -> None:
        """Take the run in the store; one without an output has no other producer to fear."""
        try:
            hold.claim()
        except StoreUnavailable:
            if self.wanted.file is not None:
                raise

    def _watch(self, round_: Round, renew: Callable[[], object]) -> Watch:
        wanted, queue = self.wanted, self.client.queue_of(self.wanted.task)
        model = self.client.specs[wanted.task].model
        named = {
            "task": wanted.task,
            "tenant": wanted.tenant,
            "run": round_.name,
            "model": model,
            "queue": queue or "",
        }
        pauses = {Pause(scope, name) for scope, name in named.items() if name}  # type: ignore[arg-type]  # scopes
        concerns = frozenset({Pause("all"), *pauses})
        return Watch(self.client.store, concerns, model, self.progress, renew)

    # How it ended.

    def _place_of_failures(self) -> str:
        file = self.wanted.file
        return str(beside(file, "errors.jsonl")) if file is not None else "--json"

    def _bill(self) -> list[str]:
        """Return what was paid, beside what was estimated, and with what earlier starts paid."""
        lines, paid = [], self.counts.cost_micro_usd
        if self._paid_before:
            lines.append(f"cost with earlier starts: {dollars(self._paid_before + paid)}")
        if self.estimate is not None and self.estimate.cost_usd is not None:
            lines.append(paid_of(self.estimate.cost_usd, None if self.counts.unpriced else paid / 1_000_000))
        return lines

    def _exit(self, stop: Stop | None, counted: Counted) -> Exit:
        if stop is not None:
            return Exit(stop.exit_code)
        if not self.counts.rows:
            self.progress.error(f"{self.inputs.names[0]}: empty: it has no rows")
            return Exit.USAGE
        if self.counts.by_status["unavailable"]:
            return Exit.UNAVAILABLE
        if self.counts.by_status["timeout"]:
            return Exit.TIMED_OUT
        return Exit.FAILED if counted.failed else Exit.OK
