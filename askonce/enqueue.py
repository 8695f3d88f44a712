"""Half one: payload -> key -> admit -> send.

A duplicate is an outcome, never an error and never None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Literal, Protocol, Self

from askonce.errors import FingerprintMismatch, JobFailed, SendFailed, StoreUnavailable
from askonce.events import Event, Listener, ignore
from askonce.handle import Handle
from askonce.key import identify
from askonce.record import Failure, Result, readable
from askonce.store import Admission, Claim

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.record import FailureOrFallback
    from askonce.spec import JobSpec
    from askonce.store import Reply, Store

OnDuplicate = Literal["attach", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What goes to the broker: a doorbell, since the record keeps the payload too."""

    task: str
    key: str
    job: str
    fingerprint: str
    payload: bytes  # canonical JSON object
    edition: str = "1"
    #: False: no record knows of it, so the worker asks for itself before it runs.
    admitted: bool = True

    @classmethod
    def of(cls, claim: Claim, job: str, *, admitted: bool = True) -> Self:
        """Return the message of *claim* under *job*."""
        return cls(
            task=claim.task,
            key=claim.key,
            job=job,
            fingerprint=claim.fingerprint,
            payload=claim.payload,
            edition=claim.edition,
            admitted=admitted,
        )


class Sender(Protocol):
    """The way to the workers."""

    def send(self, message: Message) -> None:
        """Give *message* to the broker.

        Raises:
            SendFailed: it was not taken, or nobody knows.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """What an asker is told; every kind has the key and the job that answers for it."""

    key: str
    job: str
    #: The store did not answer; what it would have said is not known.
    degraded: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnderWay(Enqueued):
    handle: Handle
    #: The last good answer, when there is one that is too old.
    stale: Result | None = None

    def result(self, timeout: float) -> Result:
        """Wait at most *timeout* seconds; errors as Handle.result."""
        return self.handle.result(timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted(_UnderWay):
    """A new job was made and its message sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached(_UnderWay):
    """An equal job is in flight; its answer is this asker's too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate(Enqueued):
    """An equal job is in flight, and the asker wished to be refused then."""

    def result(self, timeout: float) -> Result:
        """Raise JobFailed: there is nothing to wait for."""
        raise _refused(self, "duplicate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(Enqueued):
    """A fresh answer was there."""

    answer: Result

    def result(self, timeout: float) -> Result:
        """Return the answer."""
        return self.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative(Enqueued):
    """The call is known not to succeed for this payload, for now."""

    failure: Failure
    attempts: int
    #: The last good answer, where the attempts are spent; never where the failure is permanent.
    stale: Result | None = None

    def result(self, timeout: float) -> Result:
        """Return the stale answer, or raise JobFailed with the kept reason."""
        if self.stale is not None:
            return self.stale
        raise _refused(self, self.failure.reason, self.failure.kind, self.attempts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff(Enqueued):
    """The key rests after failures; ask again after *wait* seconds."""

    wait: float
    failure: Failure | None = None
    stale: Result | None = None

    def result(self, timeout: float) -> Result:
        """Return the stale answer, or raise JobFailed with the last reason."""
        if self.stale is not None:
            return self.stale
        raise _refused(self, self.failure.reason if self.failure else "backoff", "transient")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict(Enqueued):
    """The key belongs to another payload; nothing of it is disclosed, so there is no job id."""

    job: str = field(default="", init=False)

    def result(self, timeout: float) -> Result:
        """Raise FingerprintMismatch."""
        raise FingerprintMismatch(key=self.key)


Outcome = Admitted | Attached | Duplicate | Hit | Negative | Backoff | Conflict


@dataclass(frozen=True, slots=True, kw_only=True)
class Producer:
    """Asks on a store and a way to the workers."""

    store: Store
    sender: Sender
    listen: Listener = ignore
    #: Admits and sends in one step, where one server keeps records and messages; None for a claim that it
    #: has to leave to the two steps.
    publish: Callable[[Claim], Reply[Admission] | None] = lambda _claim: None
    #: The broker is another server: while the store is down, messages can be sent without it.
    sends_alone: bool = False

    def enqueue(
        self,
        spec: JobSpec,
        payload: Mapping[str, object],
        *,
        on_duplicate: OnDuplicate = "attach",
        force: bool = False,
        max_age: float | None = None,
        tenant: str = "",
        job: str | None = None,
    ) -> Outcome:
        """Ask for *payload*; send a message only if nobody did and no answer is fresh.

        *force* makes a new generation although an answer is fresh; *max_age* in seconds does so when
        the answer is older. *job* is this generation's id, drawn when not given.

        Raises:
            PayloadInvalid: names the field.
            StoreUnavailable: nothing was asked, and nothing could be sent without asking.
            SendFailed: the job is recorded; it will be sent again after the queue deadline.
        """
        identity = identify(spec, payload, tenant)
        claim = Claim.of(spec, identity.key, job or token_hex(16), *identity[1:])
        if force or max_age is not None:
            claim = claim._replace(force=force, max_age=max_age)
        try:
            return self._ask(claim, on_duplicate)
        except StoreUnavailable:
            # What the record would have to judge cannot be asked of a message, and it names no tenant.
            judged = force or max_age is not None or on_duplicate == "reject" or tenant
            if judged or not self.sends_alone or spec.on_store_down == "fail":
                raise
            return self._send_alone(spec, claim)

    def _ask(self, claim: Claim, on_duplicate: OnDuplicate) -> Outcome:
        reply = self.publish(claim)
        if reply is None:
            reply = self.store.admit(claim)
            if reply.outcome is Admission.ADMITTED:
                self._send(claim, reply.record.job)
        if reply.outcome is Admission.RESEND:
            self._send(claim, reply.record.job)
        self._tell(claim, reply)
        return self._to_outcome(claim, reply, on_duplicate)

    def _send_alone(self, spec: JobSpec, claim: Claim) -> Admitted:
        """Leave it to the worker to admit the job; of equal ones that are sent meanwhile one is called."""
        self._send(claim, claim.job, admitted=False)
        data = {"policy": spec.on_store_down, "source": "none"}
        self.listen(Event(name="job.degraded", task=claim.task, key=claim.key, job=claim.job, data=data))
        return Admitted(key=claim.key, job=claim.job, handle=self._handle(claim, claim.job), degraded=True)

    def _ask_again(self, claim: Claim) -> Handle | Result:
        """Ask for the same payload as a new job: the record of the first one is gone."""
        outcome = self._ask(claim._replace(job=token_hex(16), force=False), "attach")
        match outcome:
            case Admitted() | Attached():
                return outcome.handle
            case _:
                return outcome.result(0)

    def _send(self, claim: Claim, job: str, *, admitted: bool = True) -> None:
        try:
            self.sender.send(Message.of(claim, job, admitted=admitted))
        except SendFailed:
            self.listen(Event(name="job.send_failed", task=claim.task, key=claim.key, job=job))
            raise

    def _tell(self, claim: Claim, reply: Reply[Admission]) -> None:
        if self.listen is ignore:
            return
        record = reply.record
        data: dict[str, object] = {}
        match reply.outcome:
            case Admission.HIT if record.value:
                data = {"age_seconds": record.value.age}
            case Admission.NEGATIVE if record.failure:
                data = {"kind": record.failure.kind, "reason": record.failure.reason}
            case Admission.BACKOFF:
                data = {"wait_seconds": record.wait}
            case Admission.RESEND:
                data = {"resends": record.resent}
        name = "job.resent" if reply.outcome is Admission.RESEND else f"job.{reply.outcome.value}"
        self.listen(Event(name=name, task=claim.task, key=claim.key, job=record.job, data=data))

    def _to_outcome(self, claim: Claim, reply: Reply[Admission], on_duplicate: OnDuplicate) -> Outcome:
        key, record = claim.key, reply.record
        value, failure = record.value, record.failure
        match reply.outcome:
            case Admission.HIT:
                answer = readable(key, record.job, value, "cache")
                if answer is None:
                    # Written with a codec that is not installed here: as good as no answer.
                    return self._ask(claim._replace(job=token_hex(16), force=True), on_duplicate)
                return Hit(key=key, job=record.job, answer=answer)
            case Admission.NEGATIVE if failure:
                spent = value if failure.kind == "quarantined" else None
                stale = readable(key, record.job, spent, "stale")
                return Negative(
                    key=key, job=record.job, failure=failure, attempts=record.attempts, stale=stale
                )
            case Admission.CONFLICT:
                return Conflict(key=key)
        stale = readable(key, record.job, value, "stale") if value else None
        if reply.outcome is Admission.BACKOFF:
            return Backoff(key=key, job=record.job, wait=record.wait, failure=failure, stale=stale)
        if on_duplicate == "reject" and reply.outcome is not Admission.ADMITTED:
            return Duplicate(key=key, job=record.job)
        handle = self._handle(claim, record.job)
        kind = Admitted if reply.outcome is Admission.ADMITTED else Attached
        return kind(key=key, job=record.job, handle=handle, stale=stale)

    def _handle(self, claim: Claim, job: str) -> Handle:
        return Handle(self.store, claim.key, job, claim.fingerprint, partial(self._ask_again, claim))


def _refused(
    asked: Enqueued,
    reason: str,
    kind: FailureOrFallback | Literal["duplicate"] = "duplicate",
    attempts: int = 0,
) -> JobFailed:
    return JobFailed(key=asked.key, job=asked.job, kind=kind, reason=reason, attempts=attempts)
