"""Enqueues the rows of a run in groups, and takes each row's end as it comes.

rows ──> groups ──> enqueue_many ──┬──> has its end already ────────────┐
                      at most so   └──> a job is under way ──> follow ──┴──> sink
                      many ahead
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from askonce.cancel import cancel_keys
from askonce.errors import JobError, SendFailed, StoreUnavailable, Superseded
from askonce.outcomes import Admitted, Attached, Conflict
from askonce.rows import BadRow, Row
from askonce.store import Cancellation
from producer.run.following import Asked, Following, StoppedWhileAway
from producer.run.groups import Groups
from producer.run.held import Held
from producer.run.limits import LIMIT_REACHED, Failures, MaxFailures, NoBudget, Stop
from producer.run.report import Report, add_outcome, id_of, invalid, settle, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from askonce.handle import Handle
    from askonce.outcomes import Outcome
    from askonce.store import Store
    from producer.run.ask import Asker
    from producer.run.limits import Budget
    from producer.run.sinks import Sink

#: Rows that are enqueued in one round trip.
GROUP: Final = 500
#: Seconds that the run waits at once: a signal is noticed after so long.
TICK: Final = 0.25
#: Seconds for which calls under way are waited for when a limit stops the run.
_GRACE: Final = 60.0


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
    #: Called when the servers have answered.
    on_reached: Callable[[], object] = lambda: None
    clock: Callable[[], float] = time.monotonic
    #: Jobs of this round that failed: they are not asked for again.
    failed_jobs: set[str] = field(default_factory=set)
    #: Called with the number of rows that are under way.
    on_under_way: Callable[[int], object] = lambda _count: None
    #: Why the run stops early; set by a signal too.
    stop: Stop | None = None
    _following: Following = field(init=False)
    _held: Held = field(default_factory=Held, init=False)
    _failures: Failures = field(init=False)
    #: The last row whose message the broker refused.
    _refused: SendFailed | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Count no failure yet, and follow nothing."""
        self._failures = Failures(self.max_failures)
        self._following = Following(
            store=self.store,
            on_end=self._end,
            on_trouble=self.asker.on_trouble,
            is_stopped=lambda: self.stop is not None,
            on_reached=self.on_reached,
            waits=self.waits,
            timeout=self.timeout,
            patience=self.asker.patience,
            failed_jobs=self.failed_jobs,
            clock=self.clock,
        )
        self.asker = replace(self.asker, under_way=self._following.content_of)

    def execute(self, rows: Iterable[Row | BadRow | None]) -> Stop | None:
        """Enqueue *rows*, and give the sink a report of each; return why the run stopped early.

        None among the rows is one that has not come: what was read before it is enqueued.

        Raises:
            StoreUnavailable, SendFailed: after the reports of all rows that were enqueued before.
        """
        with self._following:
            try:
                for group in self._groups(rows):
                    self._ask(group)
                    self._take_ended(0.0)
                self._wait_for_all()
            except StoppedWhileAway:
                pass
            finally:
                self.sink.sync()
        return self.stop

    @property
    def under_way(self) -> int:
        """How many rows have a job under way."""
        return self._following.rows

    # Rows in groups.

    def _groups(self, rows: Iterable[Row | BadRow | None]) -> Iterator[list[Row | BadRow]]:
        """Yield rows that have no end yet, as many at once as have come and as there is room for."""
        still_open = (row for row in rows if row is None or self._is_open(row))
        groups = Groups(still_open, self.budget, self.sink.group_of, self.asker.again.of)
        while self.stop is None:
            if not groups.has_put_back:
                groups.put_back(self._held.freed(self._following.content_of))
            room = self._room()
            if group := groups.next(room):
                yield group
            elif groups.has_ended and not groups.has_put_back and not self._held:
                return
            elif groups.costs_too_much and not self._following.jobs:
                if self._refused is not None:
                    # Its job keeps what it can cost.
                    raise self._refused
                self.stop = Stop(self.budget.why, LIMIT_REACHED)
            else:
                # Where a row has not come, it was waited for already.
                waits = room <= 0 or groups.costs_too_much or groups.has_ended
                self._take_ended(TICK if waits else 0.0)

    def _is_open(self, row: Row | BadRow) -> bool:
        return self.sink.line_of(row.number) is None

    def _room(self) -> int:
        ahead = self._following.jobs + len(self._held)
        return min(GROUP, self.max_queued - ahead) if self.max_queued else GROUP

    def _ask(self, group: Sequence[Row | BadRow]) -> None:
        began, rows = self.clock(), [row for row in group if isinstance(row, Row)]
        self.budget.send()
        self.sink.send([row.number for row in group])
        for row in group:
            if isinstance(row, BadRow):
                self._end(invalid(row))
        outcomes = self._outcomes(rows)
        for row, outcome in zip(rows, outcomes, strict=bool(outcomes)):
            if isinstance(outcome, Conflict) and self._following.content_of(outcome.key):
                self._held.add(outcome.key, row)
            else:
                if self.asker.is_own_failure(row, outcome):
                    self.failed_jobs.add(self.asker.job_of(row))
                asked = Asked(self._new_report(row), self.asker.job_of(row), began)
                self._begin(asked, _by_row(outcome, rows))
        if any(isinstance(outcome, Admitted | Attached) for outcome in outcomes):
            self.on_jobs()

    def _outcomes(self, rows: Sequence[Row]) -> Sequence[Outcome | JobError]:
        """Enqueue *rows*; return nothing where they have their end already, because the run stops."""
        try:
            outcomes = self.asker.ask(rows, self.failed_jobs)
        except (StoreUnavailable, SendFailed) as trouble:
            for row in rows:
                self._end(unavailable(self._new_report(row), trouble))
            if self.stop is not None:
                # Somebody who did not want to wait: rows under way stay open.
                return ()
            self._following.give_up(trouble)
            raise
        self.on_reached()
        return outcomes

    def _new_report(self, row: Row) -> Report:
        own = row.id or id_of(row.payload, self.key_fields)
        return Report(row=row.number, id=own, status="", place=row.place)

    # Rows that end.

    def _begin(self, asked: Asked, outcome: Outcome | JobError) -> None:
        report = asked.report
        if isinstance(outcome, SendFailed):
            self._refused = outcome
        if isinstance(outcome, JobError):
            settle(report, outcome, asked.own_job)
        else:
            add_outcome(report, outcome, asked.own_job, waits=self.waits)
        if isinstance(outcome, Admitted | Attached) and (self.waits or self.max_queued):
            self._following.add(outcome.handle, asked)
        if not (isinstance(outcome, Admitted | Attached) and self.waits):
            report.seconds = round(self.clock() - asked.began, 3)
            self._end(report)

    def _take_ended(self, timeout: float) -> None:
        """Take rows that ended; wait at most *timeout* seconds for one."""
        self._following.take_ended(timeout)
        self.on_under_way(self._following.rows)
        self.sink.tick()

    def _end(self, report: Report) -> None:
        self._held.end(report)
        if self.strict and report.ok and report.source == "default":
            reason = report.source_reason or "the answer is the task's own substitute"
            report.error = {"kind": "fallback", "reason": reason}
        self.sink.ended(report)
        self.budget.settle(report)
        self.on_report(report)
        self._failures.add(report)
        if self.stop is None and (why := self._failures.why):
            self.stop = Stop(why, LIMIT_REACHED, cancels=True)

    # The end of the run.

    def _wait_for_all(self) -> None:
        while self._following.rows and self.stop is None:
            self._take_ended(TICK)
        if self.stop is not None and self.stop.cancels:
            self._cancel_queued()
        # What has ended already is not dropped.
        while self._following.rows and not self._following.has_looked:
            self._take_ended(0.0)

    def _cancel_queued(self) -> None:
        """Cancel the jobs that no other run shares, and take the ends of the calls under way."""
        until, stop = self.clock() + _GRACE, self.stop
        ends = self._cancel(self._following.handles)
        # A signal ends the wait.
        while self.stop is stop and self._following.has_any(ends) and self.clock() < until:
            self._take_ended(TICK)

    def _cancel(self, handles: Sequence[Handle]) -> list[Handle]:
        """Cancel the jobs of *handles*; return those that no other run shares."""
        try:
            found = [what for _, what in cancel_keys(self.store, [each.key for each in handles], self.name)]
        except StoreUnavailable:
            raise StoppedWhileAway from None
        ended = zip(handles, found, strict=True)
        return [each for each, what in ended if what is not Cancellation.SHARED]


def _by_row(outcome: Outcome | JobError, rows: Sequence[Row]) -> Outcome | JobError:
    """Return *outcome*; where a later row of its group took its key, that is named by its number."""
    if isinstance(outcome, Superseded) and outcome.by is not None:
        return Superseded(outcome.data, by=rows[outcome.by].number)
    return outcome
