"""Decides which kept answer may be served now, and why not.

The store judges by its own clock whether an answer is fresh. This module decides whether a process can read
it, and which failures let the last good answer through.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from askonce.answer import to_result
from askonce.errors import AnswerUnreadable
from askonce.spend import Spend

if TYPE_CHECKING:
    from askonce.answer import Result, Source
    from askonce.claim import Terms
    from askonce.job import JobId, Key
    from askonce.record import Failure, FailureOrFallback, Snapshot


def kept_answer(key: Key, record: Snapshot, source: Source = "cache") -> Result | AnswerUnreadable | None:
    """Return the answer that the store allows to serve, or why this process cannot read it."""
    if record.value is None:
        return None
    try:
        return to_result(key, record.job, record.value, source)
    except AnswerUnreadable as unreadable:
        return unreadable


def last_good_answer(key: Key, job: JobId, record: Snapshot, if_error: float | None = None) -> Result | None:
    """Return the kept answer for a caller whose call failed, rests or is under way; None where it may not.

    After a failure it may be stale for *if_error* seconds at most. An earlier job paid for the answer. After
    a failure its spend says what the job that failed caused.
    """
    failure = record.failure
    if record.value is None or not lets_stale_through(failure.kind if failure else None):
        return None
    if failure is not None and not is_within(record.value.stale_for, if_error):
        return None
    try:
        kept = to_result(key, job, record.value, "stale")
    except AnswerUnreadable:
        # The caller is no worse off than without one.
        return None
    if failure is None:
        return kept
    # A job that goes on may be paid later.
    caused = failure.spend.own if record.flight == "idle" else Spend()
    return replace(kept, spend=replace(kept.spend, caused=caused), reason=failure.reason)


def is_within(stale_for: float, if_error: float | None) -> bool:
    """Return whether an answer that is stale for so long may be served where its call failed."""
    return if_error is None or stale_for <= if_error


def answer_meanwhile(stale: Result | None, terms: Terms) -> Result | None:
    """Return the *stale* answer for the caller whose job makes it anew; None where that caller waits."""
    if stale is None:
        return None
    too_old = 0.0 if terms.max_age is None else stale.age - terms.max_age
    return stale if max(stale.stale_for, too_old) < terms.stale_while_revalidate else None


def fallback_of(key: Key, job: JobId, failure: Failure) -> Result | None:
    """Return the fallback that ended *job*, if there is one that this process can read."""
    if failure.fallback is None:
        return None
    try:
        return to_result(key, job, failure.fallback)
    except AnswerUnreadable:
        return None


def lets_stale_through(kind: FailureOrFallback | None) -> bool:
    """Return whether the last good answer may be served after a failure of *kind*; None is no failure.

    A permanent failure makes the old answer doubtful too. A configuration failure must reach an operator. A
    fallback is the body's own choice of what to serve.
    """
    match kind:
        case None | "transient" | "quarantined" | "expired":
            return True
        case "permanent" | "configuration" | "fallback" | "cancelled":
            return False
    assert_never(kind)
