"""Celery jobs for slow, paid calls: asked many times, paid once."""

from askonce.attempt import Attempt, current_attempt
from askonce.errors import (
    Configuration,
    FingerprintMismatch,
    JobError,
    JobFailed,
    PayloadInvalid,
    Permanent,
    ResultTimeout,
    SendFailed,
    StoreUnavailable,
    Superseded,
    Transient,
    ValueInvalid,
)
from askonce.record import Answer, Result, Status
from askonce.spec import JobSpec, RetryPolicy

__all__ = [
    "Answer",
    "Attempt",
    "Configuration",
    "FingerprintMismatch",
    "JobError",
    "JobFailed",
    "JobSpec",
    "PayloadInvalid",
    "Permanent",
    "Result",
    "ResultTimeout",
    "RetryPolicy",
    "SendFailed",
    "Status",
    "StoreUnavailable",
    "Superseded",
    "Transient",
    "ValueInvalid",
    "current_attempt",
]
