"""The report of one row: what became of it, and what it caused to be paid."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Self, assert_never

import orjson

from askonce.bill import spend_of
from askonce.errors import (
    AnswerUnreadable,
    JobError,
    JobFailed,
    LayoutNewer,
    PayloadInvalid,
    RecordDamaged,
    ResultTimeout,
    SendFailed,
    Superseded,
)
from askonce.line import in_json_bytes
from askonce.outcomes import Admitted, Attached, Backoff, Conflict, Duplicate, Hit, Negative, Unreadable
from askonce.rows import as_text
from askonce.spend import NOTHING, Spend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.answer import Result
    from askonce.outcomes import Outcome
    from askonce.rows import BadRow

#: Statuses that the same command asks for again: the row has neither an answer nor a failure of its own.
OPEN: Final = frozenset({"cancelled", "timeout", "unavailable"})
#: The status of a row whose key got other content.
SUPERSEDED: Final = "superseded"


@dataclass(slots=True, kw_only=True)
class Report:
    """The outcome of one row; the fields are the JSON that the command line prints."""

    #: The row's place in the input, from 1.
    row: int
    #: The row's own id: the first key field of its task, or the name of its file.
    id: str = ""
    #: Without waiting: admitted, attached, duplicate, hit, unreadable, negative, backoff, conflict.
    #: After waiting: done, failed, cancelled, superseded, timeout, unreadable. Always possible: invalid,
    #: unavailable.
    status: str
    #: The outcome when the row was enqueued; one of the first list.
    asked: str | None = None
    key: str | None = None
    job: str | None = None
    source: str | None = None
    #: Why the answer is stale or a fallback, in one word, where that is known.
    source_reason: str | None = None
    #: Whether it was sent or answered without the store.
    degraded: bool = False
    result: object = None
    error: dict[str, object] | None = None
    #: What this row caused to be paid, also where its job failed: US dollars and the provider's counts. An
    #: answer that was kept or that another row's job made cost this row nothing. None is unknown, never 0.
    cost_usd: float | None = None
    usage: dict[str, int] | None = None
    #: How many paid calls those were.
    calls: int | None = None
    #: What the answer cost to make, where this row did not pay for it.
    avoided_usd: float | None = None
    #: How often the job was attempted.
    attempts: int | None = None
    #: From the enqueuing of the row to its end.
    seconds: float | None = None
    #: Seconds since the answer was made.
    age: float | None = None
    #: A later row of the input with other content under the same key: the store keeps the answer to that one.
    later_row: int | None = None
    #: Where the row is, for messages; no part of the line.
    place: str = ""

    @classmethod
    def of(cls, line: Mapping[str, object]) -> Self:
        """Return the report of which *line* has the JSON, in a journal."""
        known = {name: line[name] for name in FIELDS if name in line}
        return cls(**{"status": "", **known})  # type: ignore[arg-type]  # as it was written

    @property
    def ok(self) -> bool:
        """Whether this row was accepted, and answered if the run waits for answers."""
        return self.error is None

    @property
    def is_open(self) -> bool:
        """Whether the same command asks for this row again: it has neither an answer nor a failure."""
        return self.status in OPEN

    @property
    def reason(self) -> str:
        """Why there is no answer, in one word of a small set; empty where there is one."""
        error = self.error or {}
        return str(error.get("reason") if self.status in _OF_THE_CALL else error.get("kind", ""))

    def to_json(self) -> bytes:
        """Return the line of this row; the result is JSON that a record kept."""
        return in_json_bytes(orjson.dumps({name: getattr(self, name) for name in FIELDS}))


FIELDS: Final = tuple(each.name for each in fields(Report) if each.name != "place")
_OF_THE_CALL: Final = frozenset({"failed", "negative"})


def invalid(row: BadRow) -> Report:
    """Return the report of a row that cannot be read."""
    report = Report(row=row.number, id=row.id, status="", place=row.place)
    return _refused(report, {row.field: row.reason})


def settle(report: Report, answer: Result | JobError, own_job: str) -> None:
    """Complete *report* with the end of its job; *own_job* is the id under which this row asked."""
    match answer:
        case PayloadInvalid():
            _refused(report, answer.reasons)
        case JobFailed():
            # A person's word; a body that ends its own job gives a reason of its own.
            report.status = "cancelled" if answer.kind == answer.reason == "cancelled" else "failed"
            report.error = {"kind": answer.kind, "reason": answer.reason, "attempts": answer.attempts}
            _pay(report, spend_of(answer), answer.attempts, here=_is_own(report, answer.job, own_job))
        case SendFailed():
            # Its job is recorded, and paid for when its message comes later: the cost is unknown.
            report.status, report.error = _ended(answer)
        case JobError():
            report.status, report.error = _ended(answer)
            report.later_row = answer.by if isinstance(answer, Superseded) else None
            # A job that goes on may be paid later.
            _cost(report, None if _is_own(report, report.job, own_job) else NOTHING)
        case _:
            add_answer(report, answer, "done", own_job)


def add_outcome(report: Report, outcome: Outcome, own_job: str, *, waits: bool) -> None:
    """Complete *report* with the *outcome* of its enqueuing; *waits*: for the answer of a job."""
    report.status = report.asked = type(outcome).__name__.lower()
    report.key, report.job, report.degraded = outcome.key, outcome.job or None, outcome.degraded
    match outcome:
        case Hit():
            add_answer(report, outcome.answer, "done" if waits else "hit", own_job)
        case Backoff(stale=stale) | Negative(stale=stale) if stale is not None:
            add_answer(report, stale, "done" if waits and outcome.job == own_job else report.status, own_job)
        case Negative(failure=failure):
            report.error = _error_of(outcome)
            if waits and outcome.job == own_job:
                # It failed while no producer waited for it: as its row would have been told.
                report.status = "failed"
                report.error = {"kind": failure.kind, "reason": failure.reason, "attempts": outcome.attempts}
            _pay(report, failure.spend, outcome.attempts, here=outcome.job == own_job)
        case Admitted() | Attached():
            pass
        case _:
            report.error = _error_of(outcome)
            _cost(report, NOTHING)


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


def add_answer(report: Report, answer: Result, status: str, own_job: str) -> None:
    """Complete *report* with *answer*."""
    here, spend = _is_own(report, answer.job, own_job), answer.spend
    report.status, report.source, report.job = status, answer.source, answer.job
    report.source_reason = answer.reason or None
    report.result, report.age = answer.value, answer.age
    report.degraded = report.degraded or answer.degraded
    is_old = here and answer.source == "stale"
    # A stale answer was paid for long ago: this row's job caused what the attempts after it cost.
    _pay(report, Spend() if is_old and spend.caused is None else spend, answer.attempts, here=here)
    if is_old:
        report.avoided_usd = None


def unavailable(report: Report, trouble: JobError) -> Report:
    """Return *report* as one of a row for which a server did not answer."""
    report.status, report.error = _ended(trouble)
    return report


def _is_own(report: Report, job: object, own_job: str) -> bool:
    """Return whether this row's own request made the *job*.

    What was sent without the store may have met an answer, or a job that another row has made.
    """
    return (report.asked == "admitted" and not report.degraded) or job == own_job


def _ended(error: JobError) -> tuple[str, dict[str, object]]:
    """Return the status of a row whose job ended with *error*, and what the report says of it."""
    match error:
        case ResultTimeout():
            waited = {"state": error.state, "waited_seconds": error.waited_seconds}
            return "timeout", {"kind": "timeout", **waited}
        case Superseded():
            return SUPERSEDED, {"kind": "superseded", "reason": "a newer payload took the key over"}
        case AnswerUnreadable():
            return "unreadable", {"kind": "unreadable", "reason": error.reason}
        case LayoutNewer() | RecordDamaged():
            return "unreadable", {"kind": "unreadable", "reason": str(error)}
        case _:
            return "unavailable", {"kind": "unavailable", "reason": str(error)}


def _refused(report: Report, reasons: Mapping[str, str]) -> Report:
    """Complete the report of a row that cannot be used, for each field of *reasons*."""
    (name, reason), *others = reasons.items()
    report.status, report.error = "invalid", {"kind": "invalid", "field": name, "reason": reason}
    if others:
        report.error["others"] = dict(others)
    _cost(report, NOTHING)
    return report


def _pay(report: Report, spend: Spend, attempts: int, *, here: bool) -> None:
    report.attempts = attempts
    _cost(report, spend.own if here else NOTHING)
    if not here:
        report.avoided_usd = spend.cost_usd
    elif spend.caused is not None:
        report.avoided_usd = spend.shared_usd


def _cost(report: Report, spend: Spend | None) -> None:
    report.cost_usd = spend.cost_usd if spend else None
    report.usage = dict(spend.usage) if spend else None
    report.calls = spend.calls if spend else None


def id_of(payload: Mapping[str, object], key_fields: tuple[str, ...]) -> str:
    """Return the row's own id: the first of its key fields."""
    found = payload.get(key_fields[0]) if key_fields else None
    if isinstance(found, float) and found.is_integer():
        # As its normal form: a table that has gaps elsewhere is often exported with such numbers.
        found = int(found)
    text = str(found) if isinstance(found, str | int) else ""
    # Half of a character is no text that can be written; the row is refused for it.
    return as_text(text)
