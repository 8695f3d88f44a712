"""Every situation for which askonce has no outcome.

JobError
├── PayloadInvalid        the caller's payload cannot be used
├── OptionInvalid         an option of the call cannot be honoured
├── ValueInvalid          the task body's return value cannot be stored
├── AnswerUnreadable      the kept answer cannot be read in this process
├── CallFailed            the outside call failed; raised by task bodies
│   ├── Transient         may succeed later: retried
│   ├── Postponed         the call was not made: it uses no attempt
│   ├── Permanent         will never succeed for this payload: kept briefly
│   ├── Configuration     wrong for every payload: never kept, never retried
│   └── Cancelled         the body ended the job: never kept, never retried
├── JobFailed             a waiter's job ended without an answer
├── FingerprintMismatch   the key belongs to another payload
├── Superseded            a newer payload took the key over
├── ResultTimeout         a waiter's timeout ended before the job did
├── SendFailed            the broker did not accept the message
├── BrokerUnavailable     the broker did not answer, or refused
├── StoreUnavailable      the store did not answer, or refused
├── RecordAbsent          no record has the key
├── LayoutNewer           the record was written by a newer askonce
└── RecordDamaged         the record cannot be read

A payload never appears in a message: errors travel into logs and monitors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from askonce.line import one_line

FailureKind = Literal["transient", "permanent", "configuration", "quarantined", "expired", "cancelled"]


class JobError(Exception):
    """A job could not be done."""

    def __init__(self, kept: Mapping[str, object] | None = None, /, **data: object) -> None:
        """Keep *data* as attributes; the class docstring is the message.

        A result backend stores the exception's arguments and builds the error from them again. So the data
        is the only argument, and *kept* takes it back.
        """
        self.data = {**(kept or {}), **data}
        super().__init__(self.data)

    def __str__(self) -> str:
        """Return the situation, then its data as ``name=value`` pairs: one line, whatever a caller named."""
        headline = (type(self).__doc__ or "").partition("\n")[0].rstrip(".")
        shown = " ".join(f"{name}={value}" for name, value in self.data.items() if value not in (None, False))
        return one_line(f"{headline}: {shown}" if shown else headline)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.data.items())
        return f"{type(self).__name__}({shown})"

    def __getattr__(self, name: str) -> object:
        """Read one item of the data; for names that the class declares."""
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(name) from None


class PayloadInvalid(JobError):
    """The payload cannot be used.

    ``field`` is the path of the offending part (``items[3].price``), empty for the payload itself.
    """

    field: str
    reason: str

    @classmethod
    def of(cls, reasons: Mapping[str, str]) -> PayloadInvalid:
        """Return the error about all fields of *reasons*; the first one is its ``field``."""
        (field, reason), *others = reasons.items()
        more = {"others": dict(others)} if others else {}
        return cls(field=field, reason=reason, **more)

    @property
    def reasons(self) -> dict[str, str]:
        """Why each field is refused; several only where the task's ``input`` names several at once."""
        others = cast("Mapping[str, str]", self.data.get("others") or {})
        return {self.field: self.reason, **others}

    @property
    def value_type(self) -> str:
        """The type of a value without a JSON form; empty where another rule refused it."""
        return str(self.data.get("value_type", ""))


class OptionInvalid(JobError):
    """An option of the call cannot be honoured."""

    option: str
    reason: str


class ValueInvalid(JobError):
    """The answer cannot be stored.

    ``field`` is the path of the offending part, empty for the answer itself.
    """

    field: str
    reason: str

    @property
    def value_type(self) -> str:
        """The type of a value without a JSON form; empty where the answer is too large."""
        return str(self.data.get("value_type", ""))


class AnswerUnreadable(JobError):
    """The kept answer cannot be read here.

    ``codec`` is the tag of a codec that is not installed here, or that only newer versions have. It is
    empty for an answer that is damaged, or that the task's ``present`` could not join to the caller's row.
    """

    reason: str

    @property
    def codec(self) -> str:
        """The tag of the missing codec."""
        return str(self.data.get("codec", ""))


class CallFailed(JobError):
    """The outside call failed.

    ``reason`` is a short stable word (``rate_limited``), never text from the payload or the provider.
    A call that failed after the provider answered may carry what it cost: ``usage`` and ``cost_usd``. With
    ``paid`` they are what the job cost as a whole, as in an ``Answer``.
    """

    reason: str
    kind: FailureKind = "transient"

    def __init__(self, reason: str | Mapping[str, object], **data: object) -> None:
        """Require a *reason*; everything else is optional data."""
        super().__init__(reason if isinstance(reason, Mapping) else {"reason": reason}, **data)


class Transient(CallFailed):
    """The outside call failed and may succeed later.

    ``retry_after`` is the provider's wish in seconds. With ``maybe_billed`` the provider may have charged for
    the call although no answer came. ``max_attempts`` is how often this job is attempted in all, where that
    differs from its spec.
    """

    @property
    def retry_after(self) -> float | None:
        """The provider's wish in seconds."""
        return cast("float | None", self.data.get("retry_after"))

    @property
    def maybe_billed(self) -> bool:
        """Whether the provider may have charged for the call."""
        return bool(self.data.get("maybe_billed"))

    @property
    def max_attempts(self) -> int | None:
        """How often this job is attempted in all; None for as often as its spec allows."""
        return cast("int | None", self.data.get("max_attempts"))


#: The reason of a job that no provider refused: it waits until it may call.
WAITING_FOR_TURN = "waiting_for_turn"


class Postponed(CallFailed):
    """The body gave its job back before the call.

    No attempt is counted. The job starts again after ``retry_after`` seconds: from a second, also where
    nobody named a time, to a day. ``ends_as`` is the kind of failure that it becomes where its task parks no
    job, or not as long.
    """

    @property
    def retry_after(self) -> float | None:
        """The seconds to rest; None where nobody named a time."""
        return cast("float | None", self.data.get("retry_after"))

    @property
    def ends_as(self) -> FailureKind:
        """``transient``, an attempt, or ``configuration``, which ends the job."""
        return cast("FailureKind", self.data.get("ends_as") or "transient")


class Permanent(CallFailed):
    """The outside call failed and will never succeed for this payload."""

    kind: FailureKind = "permanent"


class Configuration(CallFailed):
    """The outside call was refused for every payload: credentials, quota or model."""

    kind: FailureKind = "configuration"


class Cancelled(CallFailed):
    """The body ended its job: there is no answer, and no other attempt is made."""

    kind: FailureKind = "cancelled"


class JobFailed(JobError):
    """The job ended without an answer.

    ``kind`` is ``permanent``, ``configuration`` or ``quarantined``; ``reason`` the word its body gave.
    ``usage``, ``cost_usd`` and ``calls`` are what all its attempts cost. Where a monitor shows it, ``cure``
    is what a person can do about it.
    """

    key: str
    job: str
    kind: FailureKind
    reason: str
    attempts: int

    @property
    def cost_usd(self) -> float | None:
        """US dollars; None is unknown, never 0."""
        return cast("float | None", self.data.get("cost_usd"))

    @property
    def usage(self) -> Mapping[str, int]:
        """The provider's counts; one that an attempt lacks is left out."""
        return cast("Mapping[str, int]", self.data.get("usage") or {})

    @property
    def calls(self) -> int:
        """How many calls were made, those included of which nothing but that is known."""
        return cast("int", self.data.get("calls", 0))


class FingerprintMismatch(JobError):
    """The key belongs to another payload."""

    key: str


class Superseded(JobError):
    """The key was taken over by a newer payload."""

    key: str
    job: str

    @property
    def by(self) -> int | None:
        """The position of that payload in the same ``enqueue_many``; None where it came in another call."""
        return cast("int | None", self.data.get("by"))


class ResultTimeout(JobError):
    """The result did not come in time; the job goes on."""

    key: str
    state: str
    waited_seconds: float


class SendFailed(JobError):
    """The broker did not accept the message; the reaper sends it again after the queue deadline."""

    key: str
    job: str


class BrokerUnavailable(JobError):
    """The broker did not answer, or refused: its queues cannot be seen or changed.

    ``reason`` is the class of the connection's error, or the code of the server's refusal in lower case.
    """

    reason: str


class StoreUnavailable(JobError):
    """The store did not answer or refused.

    ``reason`` is the class of the connection's error, or the code of the server's refusal in lower case:
    ``oom``, ``misconf``, ``noreplicas``, ``readonly``, ``noperm``. It is ``breaker_open`` when nothing was
    sent because the last calls had no reply, and ``calls_spent`` when no more calls may be made without the
    store. ``server`` is the place of the store without its login: host, port and database, the path of a
    socket, a cluster's node, or the name that sentinels know.
    """

    verb: str
    reason: str

    @property
    def server(self) -> str:
        """The place of the store; empty where it is unknown."""
        return str(self.data.get("server", ""))


class RecordAbsent(JobError):
    """No record has this key: its answer expired, or no job was enqueued under it."""

    key: str


class LayoutNewer(JobError):
    """The record was written by a newer version of askonce and is left alone."""

    verb: str
    key: str


class RecordDamaged(JobError):
    """The record cannot be read.

    Something else wrote to it. ``reason`` is ``wrong_type``, ``wrong_number`` or the line of the script that
    failed on it.
    """

    key: str
    reason: str
