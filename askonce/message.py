"""The message of a job, and what a producer needs of the way to the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

from askonce.errors import SendFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from askonce.claim import Claim
    from askonce.decision import Run
    from askonce.errors import JobError
    from askonce.job import Job, Routing
    from askonce.options import Options
    from askonce.store import Admission, Reply


class Message(NamedTuple):
    """The message to the broker. It only wakes a worker: the payload is in the record too."""

    job: Job
    #: False: the store was down when it was sent, so the worker admits the job first.
    admitted: bool = True
    #: When it was sent: milliseconds by the store's clock, 0 where that is unknown.
    sent_at: int = 0
    #: Whether the job's id was drawn for this one request: what comes under it again is a copy.
    drawn: bool = False


class Sender(Protocol):
    """The way to the workers."""

    @property
    def more_urgent(self) -> Literal["<", ">"]:
        """``>`` where messages of a higher priority number are delivered first."""

    def route(
        self, job: Job, row: Mapping[str, object] | None = None, options: Options | None = None
    ) -> Routing:
        """Return where the messages of *job* go: its own routing is what its caller has chosen.

        *row* is the payload as its caller gave it, and *options* are that caller's, where they are known.

        Raises:
            OptionInvalid: there is no such queue, or no message can carry the option.
            PayloadInvalid: no message can carry the payload.
        """

    def send(self, message: Message) -> None:
        """Give *message* to the broker.

        Raises:
            SendFailed: the broker did not accept it, or its reply was lost.
        """


@runtime_checkable
class SendsMany(Protocol):
    """A sender that may send faster what it sends together; others send each message."""

    def send_many(self, messages: Sequence[Message]) -> list[SendFailed | None]:
        """Give each of *messages* to the broker; return an error in the place of one that it did not accept.

        After an error the others are not tried: each would wait for the same broker.
        """


class Admitter(Protocol):
    """Admits in place of the store, and sends the message of a new job in the same step where it can."""

    def admit(self, claim: Claim) -> Reply[Admission]:
        """As the store's verb."""

    def admit_many(self, claims: Sequence[Claim]) -> Iterable[Reply[Admission] | JobError]:
        """As the store's verb."""


def message_of(job: Job, decision: Run) -> Message | None:
    """Return the message of a job that is the caller's; None if it was sent, or the job is not due yet."""
    record = decision.record
    if decision.sent or decision.rest > 0:
        return None
    job = job.under(decision.job)
    if decision.new:
        return Message(job._replace(admitted_at=record.now), sent_at=record.now)
    # The messages of one job all go where its first one went.
    first = job._replace(
        routing=record.routing or job.routing, run=record.run, admitted_at=record.admitted_at
    )
    return Message(first, sent_at=record.now)


def send_each(send: Callable[[Message], None], messages: Sequence[Message]) -> list[SendFailed | None]:
    """Send *messages* one after the other, until *send* fails: what ``SendsMany`` promises."""
    sent: list[SendFailed | None] = []
    for message in messages:
        try:
            send(message)
        except SendFailed:
            break
        sent.append(None)
    return sent + [SendFailed(key=job.key, job=job.id) for job, *_ in messages[len(sent) :]]
