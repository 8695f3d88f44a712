"""Uses the errors of the public API as a strict type checker sees them; checked by test_api.py, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

from askonce import (
    AnswerUnreadable,
    Cancelled,
    Configuration,
    FingerprintMismatch,
    JobError,
    JobFailed,
    PayloadInvalid,
    Permanent,
    Postponed,
    RecordAbsent,
    ResultTimeout,
    SendFailed,
    StoreUnavailable,
    Superseded,
    Transient,
    ValueInvalid,
)


def call_failures(error: JobError) -> object:
    """What a task body raises has a type."""
    match error:
        case Transient():
            assert_type(error.retry_after, float | None)
            assert_type(error.max_attempts, int | None)
            return assert_type(error.maybe_billed, bool)
        case Postponed():
            return assert_type(error.retry_after, float | None)
        case Permanent() | Configuration() | Cancelled():
            return assert_type(error.reason, str)
    return str(error)


def errors(error: JobError) -> object:
    """What a caller may catch has a type."""
    match error:
        case PayloadInvalid() | ValueInvalid():
            return assert_type(error.field, str)
        case JobFailed():
            assert_type(error.cost_usd, float | None)
            assert_type(error.usage, Mapping[str, int])
            return assert_type(error.attempts, int)
        case ResultTimeout():
            return assert_type(error.waited_seconds, float)
        case Superseded() | SendFailed():
            return assert_type(error.job, str)
        case FingerprintMismatch() | RecordAbsent():
            return assert_type(error.key, str)
        case StoreUnavailable():
            return assert_type(error.verb, str)
        case AnswerUnreadable():
            return assert_type(error.codec, str)
    return call_failures(error)
