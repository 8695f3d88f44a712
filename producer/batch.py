"""Submits rows and waits for their answers on request; every row gets exactly one report."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, assert_never

from askonce.errors import (
    AnswerUnreadable,
    JobError,
    JobFailed,
    LayoutNewer,
    PayloadInvalid,
    RecordDamaged,
    ResultTimeout,
    SendFailed,
    StoreUnavailable,
    Superseded,
)
from askonce.handle import as_completed
from askonce.outcomes import Admitted, Attached, Backoff, Conflict, Duplicate, Hit, Negative, Unreadable
from askonce.rows import BadRow, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from askonce.answer import Result
    from askonce.handle import Handle
    from askonce.outcomes import Outcome
    from askonce.spend import Spend
    from producer.client import Client

#: Rows in flight at once. It limits memory, not the size of a file.
WINDOW = 1000


@dataclass(slots=True, kw_only=True)
class Report:
    """The outcome of one row; the fields are the JSON that the command line prints."""

    row: int
    #: Without waiting: admitted, attached, duplicate, hit, unreadable, negative, backoff, conflict.
    #: After waiting: done, failed, superseded, timeout, unreadable. Always possible: invalid, unavailable.
    status: str
    #: The outcome when the row was enqueued; one of the first list.
    asked: str | None = None
    key: str | None = None
    job: str | None = None
    source: str | None = None
    #: Whether it was sent or answered without the store.
    degraded: bool = False
    result: object = None
    #: What all attempts of the job cost, also where it failed: US dollars and the provider's counts; None is
    #: unknown, never 0.
    cost_usd: float | None = None
    usage: dict[str, int] | None = None
    #: How often the job was attempted.
    attempts: int | None = None
    #: Seconds since the answer was made.
    age: float | None = None
    error: dict[str, object] | None = None

    @property
    def ok(self) -> bool:
        """Whether this row was accepted, and answered if the batch waits for answers."""
        return self.error is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Many rows for one task."""

    client: Client
    task: str
    #: Seconds to wait for the answers to each window of rows; None does not wait.
    wait: float | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    #: Called after each row that has a job in flight.
    on_job: Callable[[], object] = lambda: None
    clock: Callable[[], float] = time.monotonic

    def run(self, rows: Iterable[Row | BadRow]) -> Iterator[Report]:
        """Yield a report for every row, in the order of the rows.

        Raises:
            StoreUnavailable, SendFailed: after the reports of all rows that were enqueued before.
        """
        rows = iter(rows)
        while window := list(islice(rows, WINDOW)):
            reports, handles, trouble = self._enqueue_all(window)
            if self.wait is not None:
                trouble = self._wait_all(handles, trouble)
            yield from reports
            if trouble is not None:
                raise trouble

    def _enqueue_all(
        self, window: list[Row | BadRow]
    ) -> tuple[list[Report], dict[Handle, Report], StoreUnavailable | SendFailed | None]:
        reports: list[Report] = []
        handles: dict[Handle, Report] = {}
        for row in window:
            try:
                report, handle = self._enqueue(row)
            except (StoreUnavailable, SendFailed) as trouble:
                reports.append(_unavailable(row.number, trouble))
                return reports, handles, trouble
            reports.append(report)
            if handle is not None:
                handles[handle] = report
                self.on_job()
        return reports, handles, None

    def _enqueue(self, row: Row | BadRow) -> tuple[Report, Handle | None]:
        if isinstance(row, BadRow):
            return _invalid(row.number, row.field, row.reason), None
        try:
            outcome = self.client.enqueue(self.task, row.payload, **self.options)
        except PayloadInvalid as exc:
            return _invalid(row.number, exc.field, exc.reason), None
        except (LayoutNewer, RecordDamaged) as exc:
            # Of this row's record: the other rows go on.
            report = Report(row=row.number, status="unreadable")
            report.error = {"kind": "unreadable", "reason": str(exc)}
            return report, None
        handle = outcome.handle if isinstance(outcome, Admitted | Attached) else None
        return self._report(row.number, outcome), handle

    def _report(self, number: int, outcome: Outcome) -> Report:
        status = type(outcome).__name__.lower()
        report = Report(row=number, status=status, asked=status, key=outcome.key, job=outcome.job or None)
        report.degraded = outcome.degraded
        match outcome:
            case Hit():
                _answer(report, outcome.answer, "hit" if self.wait is None else "done")
            case Backoff(stale=stale) | Negative(stale=stale) if stale is not None:
                _answer(report, stale, status)
            case _:
                report.error = _error_of(outcome)
        if isinstance(outcome, Negative) and outcome.stale is None:
            _cost(report, outcome.failure.spend, outcome.attempts)
        return report

    def _wait_all(
        self, handles: dict[Handle, Report], trouble: StoreUnavailable | SendFailed | None
    ) -> StoreUnavailable | SendFailed | None:
        waiting = dict(handles)
        try:
            for handle, answer in as_completed(
                self.client.store, list(handles), self.wait or 0.0, self.clock
            ):
                _settle(waiting.pop(handle), answer)
        except (StoreUnavailable, SendFailed) as exc:
            # Admitted jobs go on without this process. Report each row instead of losing it.
            for report in waiting.values():
                _settle(report, exc)
            return trouble or exc
        return trouble


def _error_of(outcome: Outcome) -> dict[str, object] | None:
    """Return why a row has neither an answer nor a job; None where it has one."""
    match outcome:
        case Admitted() | Attached() | Hit():
            return None
        case Negative(failure=failure):
            return {"kind": failure.kind, "reason": failure.reason}
        case Backoff():
            return {"kind": "transient", "reason": "backoff", "wait_seconds": outcome.wait}
        case Conflict():
            return {"kind": "conflict", "reason": "the key belongs to another payload"}
        case Duplicate():
            return {"kind": "duplicate", "reason": "an equal job is in flight"}
        case Unreadable():
            return {"kind": "unreadable", "reason": outcome.error.reason}
    assert_never(outcome)


def _settle(report: Report, answer: Result | JobError) -> None:
    match answer:
        case JobFailed():
            report.status = "failed"
            _cost(report, answer, answer.attempts)
            report.error = {"kind": answer.kind, "reason": answer.reason, "attempts": answer.attempts}
        case ResultTimeout():
            report.status = "timeout"
            report.error = {"kind": "timeout", "state": answer.state, "waited_seconds": answer.waited_seconds}
        case Superseded():
            report.status = "superseded"
            report.error = {"kind": "superseded", "reason": "a newer payload took the key over"}
        case AnswerUnreadable():
            report.status = "unreadable"
            report.error = {"kind": "unreadable", "reason": answer.reason}
        case LayoutNewer() | RecordDamaged():
            report.status = "unreadable"
            report.error = {"kind": "unreadable", "reason": str(answer)}
        case JobError():
            report.status = "unavailable"
            report.error = {"kind": "unavailable", "reason": str(answer)}
        case _:
            _answer(report, answer, "done")


def _answer(report: Report, answer: Result, status: str) -> None:
    report.status, report.source = status, answer.source
    report.job, report.result, report.degraded = answer.job, answer.value, answer.degraded
    report.age = answer.age
    _cost(report, answer, answer.attempts)


def _cost(report: Report, of: Result | JobFailed | Spend, attempts: int) -> None:
    report.cost_usd, report.usage, report.attempts = of.cost_usd, dict(of.usage), attempts


def _invalid(number: int, name: str, reason: str) -> Report:
    return Report(row=number, status="invalid", error={"kind": "invalid", "field": name, "reason": reason})


def _unavailable(number: int, trouble: JobError) -> Report:
    return Report(row=number, status="unavailable", error={"kind": "unavailable", "reason": str(trouble)})
