"""Celery jobs for slow, paid calls: enqueued many times, paid once."""

from askonce.answer import Answer, Codec, Result
from askonce.attempt import Attempt, current_attempt
from askonce.enqueue import Producer
from askonce.errors import (
    AnswerUnreadable,
    CallFailed,
    Cancelled,
    Configuration,
    FingerprintMismatch,
    JobError,
    JobFailed,
    PayloadInvalid,
    Permanent,
    Postponed,
    RecordAbsent,
    RecordDamaged,
    ResultTimeout,
    SendFailed,
    StoreUnavailable,
    Superseded,
    Transient,
    ValueInvalid,
)
from askonce.events import Event, EventType, Listener
from askonce.handle import Handle, as_completed
from askonce.job import Job
from askonce.key import identify
from askonce.listening import Listening, Workers
from askonce.message import Message, Sender
from askonce.outcomes import (
    Admitted,
    Attached,
    Backoff,
    Conflict,
    Duplicate,
    Hit,
    Negative,
    Outcome,
    Unreadable,
)
from askonce.record import Failure, Status
from askonce.spec import JobSpec, RetryPolicy
from askonce.spend import Spend

__all__ = [
    "Admitted",
    "Answer",
    "AnswerUnreadable",
    "Attached",
    "Attempt",
    "Backoff",
    "CallFailed",
    "Cancelled",
    "Codec",
    "Configuration",
    "Conflict",
    "Duplicate",
    "Event",
    "EventType",
    "Failure",
    "FingerprintMismatch",
    "Handle",
    "Hit",
    "Job",
    "JobError",
    "JobFailed",
    "JobSpec",
    "Listener",
    "Listening",
    "Message",
    "Negative",
    "Outcome",
    "PayloadInvalid",
    "Permanent",
    "Postponed",
    "Producer",
    "RecordAbsent",
    "RecordDamaged",
    "Result",
    "ResultTimeout",
    "RetryPolicy",
    "SendFailed",
    "Sender",
    "Spend",
    "Status",
    "StoreUnavailable",
    "Superseded",
    "Transient",
    "Unreadable",
    "ValueInvalid",
    "Workers",
    "as_completed",
    "current_attempt",
    "identify",
]
