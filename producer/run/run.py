"""Enqueues the rows of a run in groups, and takes each row's end as it comes.

rows ──> groups ──> enqueue_many ──┬──> has its end already ────────────┐
                      at most so   └──> a job is under way ──> follow ──┴──> sink
                      many ahead
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from threading import Event as Signal
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from askonce.cancel import cancel_keys
from askonce.errors import JobError, JobFailed, ResultTimeout, StoreUnavailable, Superseded
from askonce.follow import Follower
from askonce.handle import Handle
from askonce.outcomes import Admitted, Attached
from askonce.rows import BadRow, Row
from askonce.store import Cancellation
from producer.run.ask import REST
from producer.run.limits import LIMIT_REACHED, Failures, MaxFailures, NoBudget, Stop
from producer.run.report import Report, add_outcome, id_of, invalid, settle, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from askonce.answer import Result
    from askonce.outcomes import Outcome
    from askonce.store import Store
    from producer.run.ask import Asker
    from producer.run.journal import Line
    from producer.run.limits import Budget

#: Rows that are enqueued in one round trip.
GROUP: Final = 500
#: Seconds that the run waits at once: a signal is noticed after so long.
TICK: Final = 0.25
#: Seconds for which calls under way are waited for when a limit stops the run.
_GRACE: Final = 60.0


class Sink(Protocol):
    """Where the reports of a run go."""

    def line_of(self, row: int) -> Line | None:
        """Take in *row*, the next one of the input; return its line where an earlier start has its end."""

    def ended(self, report: Report) -> None:
        """Take the end of a row."""

    def tick(self) -> None:
        """Keep what was taken, once in a while."""

    def sync(self) -> None:
        """Keep all that was taken."""


class _Asked(NamedTuple):
    """A row whose job is under way."""

    report: Report
    own_job: str
    began: float


@dataclass(slots=True, kw_only=True)
class Run:
    """One start of a run."""

    store: Store
    asker: Asker
    #: The name under which its jobs are cancelled.
    name: str = ""
    sink: Sink
    #: The task's: the first one is a row's own id.
    key_fields: tuple[str, ...] = ()
    #: Whether each row is waited for; otherwise its enqueuing is its end.
    waits: bool = True
    #: Seconds to wait for each row; None waits for as long as it takes.
    timeout: float | None = None
    #: Rows ahead of the workers, at most; 0 is no bound.
    max_queued: int = 0
    #: Whether a fallback is a failure.
    strict: bool = False
    budget: Budget = field(default_factory=NoBudget)
    max_failures: MaxFailures = field(default_factory=MaxFailures)
    #: Called after each group with rows whose jobs are under way.
    on_jobs: Callable[[], object] = lambda: None
    #: Called with each report, after the sink.
    on_report: Callable[[Report], object] = lambda _report: None
    clock: Callable[[], float] = time.monotonic
    #: Jobs of this round that failed: they are not asked for again.
    failed_jobs: set[str] = field(default_factory=set)
    #: Called with the number of rows that are under way.
    on_under_way: Callable[[int], object] = lambda _count: None
    #: Why the run stops early; set by a signal too.
    stop: Stop | None = None
    _follower: Follower[Handle] = field(init=False)
    _asked: dict[Handle, _Asked] = field(default_factory=dict, init=False)
    _failures: Failures = field(init=False)
    _down_since: float | None = field(default=None, init=False)

    def execute(self, rows: Iterable[Row | BadRow]) -> Stop | None:
        """Enqueue *rows*, and give the sink a report of each; return why the run stopped early.

        Raises:
            StoreUnavailable: after the reports of all rows that were enqueued before.
        """
        self._failures = Failures(self.max_failures)
        with Follower[Handle](self.store, self.clock) as self._follower:
            try:
                for group in self._groups(rows):
                    self._ask(group)
                    self._take_ended(0.0)
                self._wait_for_all()
            except _Stopped:
                pass
            finally:
                self.sink.sync()
        return self.stop

    @property
    def under_way(self) -> int:
        """How many rows have a job under way."""
        return len(self._asked)

    # Rows in groups.

    def _groups(self, rows: Iterable[Row | BadRow]) -> Iterator[list[Row | BadRow]]:
        """Yield rows that have no end yet, as many at once as there is room for."""
        unanswered = _Pushable(row for row in rows if self.sink.line_of(row.number) is None)
        while self.stop is None:
            group = list(islice(self._affordable(unanswered), self._room()))
            if group:
                yield group
            elif unanswered.is_empty():
                return
            elif self._follower:
                self._take_ended(TICK)
            else:
                self.stop = Stop(self.budget.why, LIMIT_REACHED)

    def _room(self) -> int:
        return min(GROUP, self.max_queued - len(self._follower)) if self.max_queued else GROUP

    def _affordable(self, rows: _Pushable) -> Iterator[Row | BadRow]:
        """Yield *rows* until one could pass a limit, with what each can cost put aside."""
        for row in rows:
            if isinstance(row, Row) and not self.budget.reserve(row.number, row.payload):
                rows.push(row)
                return
            yield row

    def _ask(self, group: Sequence[Row | BadRow]) -> None:
        began, rows = self.clock(), [row for row in group if isinstance(row, Row)]
        for row in group:
            if isinstance(row, BadRow):
                self._end(invalid(row))
        try:
            outcomes = self.asker.ask(rows, self.failed_jobs)
        except StoreUnavailable as trouble:
            for row in rows:
                self._end(unavailable(self._new_report(row), trouble))
            self._give_up(trouble)
            raise
        for row, outcome in zip(rows, outcomes, strict=True):
            self._begin(_Asked(self._new_report(row), self.asker.job_of(row), began), _by_row(outcome, rows))
        if any(isinstance(outcome, Admitted | Attached) for outcome in outcomes):
            self.on_jobs()

    def _new_report(self, row: Row) -> Report:
        own = row.id or id_of(row.payload, self.key_fields)
        return Report(row=row.number, id=own, status="", place=row.place)

    # Rows that end.

    def _begin(self, asked: _Asked, outcome: Outcome | JobError) -> None:
        report = asked.report
        if isinstance(outcome, JobError):
            settle(report, outcome, asked.own_job)
        else:
            add_outcome(report, outcome, asked.own_job, waits=self.waits)
        if isinstance(outcome, Admitted | Attached):
            self._follow(outcome.handle, asked)
        if not (isinstance(outcome, Admitted | Attached) and self.waits):
            report.seconds = round(self.clock() - asked.began, 3)
            self._end(report)

    def _follow(self, handle: Handle, asked: _Asked) -> None:
        if self.waits:
            self._asked[handle] = asked
        if self.waits or self.max_queued:
            self._follower.add([handle])

    def _take_ended(self, timeout: float) -> None:
        """Take rows that ended; wait at most *timeout* seconds for one."""
        try:
            ended = self._follower.ended(timeout)
        except StoreUnavailable as trouble:
            self._wait_for_store(trouble, timeout)
        else:
            self._down_since = None
            self._settle(ended)
            self._time_out()
        self.on_under_way(len(self._asked))
        self.sink.tick()

    def _wait_for_store(self, trouble: StoreUnavailable, timeout: float) -> None:
        """Rest: admitted jobs go on, and their ends are taken when the store is back.

        Raises:
            StoreUnavailable: it has been away for too long.
        """
        if not self.waits and timeout <= 0:
            # Only the bound is not known: rows may go out without the store.
            return
        self._down_since = self.clock() if self._down_since is None else self._down_since
        patience = self.asker.patience if self.timeout is None else self.timeout
        if self.stop is not None:
            # The rows that are under way stay open: the same command finds them.
            raise _Stopped
        if self.clock() - self._down_since >= patience:
            self._give_up(trouble)
            raise trouble
        self.asker.on_trouble(trouble)
        Signal().wait(min(REST, patience))

    def _settle(self, ended: Iterable[tuple[Handle, Result | JobError]]) -> None:
        for handle, end in ended:
            asked = self._asked.pop(handle, None)
            if asked is None:
                continue
            if isinstance(end, JobFailed):
                self.failed_jobs.add(end.job)
            settle(asked.report, end, asked.own_job)
            asked.report.seconds = round(self.clock() - asked.began, 3)
            self._end(asked.report)

    def _time_out(self) -> None:
        """End rows that waited for too long; their jobs go on."""
        if self.timeout is None or not self._asked:
            return
        over = self.clock() - self.timeout
        late = [handle for handle, asked in self._asked.items() if asked.began <= over]
        records = self.store.read([handle.key for handle in late]) if late else []
        for handle, record in zip(late, records, strict=True):
            self._follower.drop(handle)
            waited = round(self.clock() - self._asked[handle].began, 3)
            error = ResultTimeout(key=handle.key, state=record.status.value, waited_seconds=waited)
            self._settle([(handle, error)])

    def _end(self, report: Report) -> None:
        if self.strict and report.ok and report.source == "default":
            report.error = {
                "kind": "fallback",
                "reason": "the answer is the task's own substitute (--strict)",
            }
        self.sink.ended(report)
        self.budget.settle(report)
        self.on_report(report)
        self._failures.add(report)
        if self.stop is None and (why := self._failures.why):
            self.stop = Stop(why, LIMIT_REACHED, cancels=True)

    # The end of the run.

    def _wait_for_all(self) -> None:
        while self._asked and self.stop is None:
            self._take_ended(TICK)
        if self.stop is not None and self.stop.cancels:
            self._cancel_queued()
        # What has ended already is not dropped.
        while self._asked and not self._follower.has_looked:
            self._take_ended(0.0)

    def _cancel_queued(self) -> None:
        """End the jobs that no other run shares unpaid, and take the ends of the calls under way."""
        handles = list(self._asked)
        found = [what for _, what in cancel_keys(self.store, [each.key for each in handles], self.name)]
        ends = [each for each, what in zip(handles, found, strict=True) if what is not Cancellation.SHARED]
        until = self.clock() + _GRACE
        while any(handle in self._asked for handle in ends) and self.clock() < until:
            self._take_ended(TICK)

    def _give_up(self, trouble: JobError) -> None:
        for asked in self._asked.values():
            self._end(unavailable(asked.report, trouble))
        self._asked.clear()


def _by_row(outcome: Outcome | JobError, rows: Sequence[Row]) -> Outcome | JobError:
    """Return *outcome*; where a later row of its group took its key, that is named by its number."""
    if isinstance(outcome, Superseded) and outcome.by is not None:
        return Superseded(outcome.data, by=rows[outcome.by].number)
    return outcome


class _Stopped(Exception):
    """The run is stopped while the store is away."""


class _Pushable:
    """Rows, of which one can be put back."""

    def __init__(self, rows: Iterable[Row | BadRow]) -> None:
        self._rows, self._pushed = iter(rows), deque[Row | BadRow]()

    def __iter__(self) -> Iterator[Row | BadRow]:
        return self

    def __next__(self) -> Row | BadRow:
        return self._pushed.popleft() if self._pushed else next(self._rows)

    def push(self, row: Row | BadRow) -> None:
        self._pushed.append(row)

    def is_empty(self) -> bool:
        """Return whether no row is left; reads one to know that."""
        row = next(self, None)
        if row is not None:
            self.push(row)
        return row is None
