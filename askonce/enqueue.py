"""Half one: payload -> job -> admit -> send."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Unpack, assert_never

from askonce.decide import Policy, Refuse, Run, Serve, Wait, Why, admit, enqueue_without_store
from askonce.errors import AnswerUnreadable, SendFailed, StoreUnavailable
from askonce.events import EventType, Listener, emit, ignore
from askonce.handle import Handle
from askonce.job import new_job_id
from askonce.join import as_it_is, join_to
from askonce.key import identify
from askonce.options import as_passed, id_of, name_of, routing_of, terms_of
from askonce.outcomes import Admitted, Attached, Backoff, Conflict, Duplicate, Hit, Negative, Unreadable
from askonce.store import Claim, Resent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.answer import Result
    from askonce.decide import Decision
    from askonce.job import Job, JobId, Key, Routing
    from askonce.join import Join
    from askonce.options import Options
    from askonce.outcomes import Outcome
    from askonce.spec import JobSpec
    from askonce.store import Admission, Reply, Store


class Message(NamedTuple):
    """The message to the broker. It only wakes a worker: the payload is in the record too."""

    job: Job
    #: False: the store was down when it was sent, so the worker admits the job first.
    admitted: bool = True
    #: When it was sent: milliseconds by the store's clock, 0 where that is unknown.
    sent_at: int = 0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Producer:
    """Enqueues jobs: on a store, and through a way to the workers."""

    store: Store
    sender: Sender
    listen: Listener = ignore
    #: Admits in place of the store, and sends the message in the same step where it can.
    publish: Callable[[Claim], Reply[Admission]] | None = None
    #: The broker is another server: messages can be sent while the store is down.
    sends_alone: bool = False
    #: Seconds since 1970: turns a caller's moments into durations.
    clock: Callable[[], float] = time.time

    def enqueue(self, spec: JobSpec, payload: Mapping[str, object], **options: Unpack[Options]) -> Outcome:
        """Enqueue *payload*; send a message only if no equal job is in flight and no answer is fresh.

        ``askonce.options`` lists the *options*. An equal job in flight may not take all of them: the field
        ``ignored`` of the outcome names those.

        Raises:
            PayloadInvalid: names the field.
            OptionInvalid: names the option.
            StoreUnavailable: nothing was enqueued.
            SendFailed: the job is recorded; the reaper sends its message later.
        """
        claim, join = self._claim(spec, payload, options), join_to(spec, payload)
        try:
            outcome = self._enqueue(claim, join)
        except StoreUnavailable as down:
            return self._enqueue_without_store(spec, claim, join, down)
        if isinstance(outcome, Attached):
            ignored = as_passed(outcome.ignored, options)
            if options.get("job") not in (None, outcome.job):
                ignored = (*ignored, "job")
            return replace(outcome, ignored=ignored) if ignored else outcome
        return outcome

    def _claim(self, spec: JobSpec, payload: Mapping[str, object], options: Options) -> Claim:
        terms = terms_of(spec, options, self.sender.more_urgent, self.clock())
        chosen = routing_of(options)
        tenant, run = name_of("tenant", options.get("tenant", "")), name_of("run", options.get("run", ""))
        job_id = options.get("job")
        if job_id is not None:
            id_of("job", job_id)
        job = identify(spec, payload, tenant, job_id, run=run, routing=chosen)
        return Claim(job._replace(routing=self.sender.route(job, payload, options)), terms)

    def _enqueue(self, claim: Claim, join: Join = as_it_is) -> Outcome:
        decision = admit(self.publish or self.store.admit, claim, Policy.LEAVE, self.listen)
        decision = _joined(decision, join)
        match decision:
            case Serve(result=result):
                return Hit(key=claim.job.key, job=result.job, answer=result)
            case Run():
                self._dispatch(claim, decision)
                return self._under_way(claim, decision, join)
            case Wait():
                return self._under_way(claim, decision, join)
            case Refuse():
                return _refused(claim.job.key, decision)
        assert_never(decision)

    def _enqueue_without_store(
        self, spec: JobSpec, claim: Claim, join: Join, down: StoreUnavailable
    ) -> Admitted:
        """Leave it to the worker to admit the job; of equal jobs that are sent meanwhile, one is called."""
        decision = enqueue_without_store(spec, claim, broker_apart=self.sends_alone, down=down)
        match decision:
            case Refuse():
                raise decision.to_error(claim.job.key)
            case Run():
                try:
                    self._send(Message(claim.job, admitted=False))
                except SendFailed:
                    # No record knows of this job, so no reaper will send it.
                    raise down from None
                emit(
                    self.listen,
                    EventType.JOB_DEGRADED,
                    claim.job,
                    policy=spec.on_store_down,
                    source="none",
                )
                handle = self._handle(claim, claim.job.id, join)
                return Admitted(key=claim.job.key, job=claim.job.id, handle=handle, degraded=True)
        assert_never(decision)

    def _dispatch(self, claim: Claim, decision: Run) -> None:
        """Send the message of a job that is the caller's, unless it was sent or is not due yet."""
        record = decision.record
        if decision.sent or decision.rest > 0:
            return
        job = claim.job.under(decision.job)
        if decision.new:
            self._send(Message(job._replace(admitted_at=record.now), sent_at=record.now))
            return
        # The messages of one job all go where its first one went.
        routing = record.routing or job.routing
        first = job._replace(routing=routing, run=record.run, admitted_at=record.admitted_at)
        self._send(Message(first, sent_at=record.now))
        # The message is out. Not counted, it may be sent once more, which costs no call.
        with suppress(StoreUnavailable):
            self.store.resent([Resent(job.key, job.id, record.now)])

    def _send(self, message: Message) -> None:
        try:
            self.sender.send(message)
        except SendFailed:
            emit(self.listen, EventType.JOB_SEND_FAILED, message.job)
            raise

    def _under_way(self, claim: Claim, decision: Run | Wait, join: Join) -> Outcome:
        key, job, stale = claim.job.key, decision.job, decision.stale
        if isinstance(decision, Run) and decision.new:
            return Admitted(key=key, job=job, handle=self._handle(claim, job, join), stale=stale)
        if claim.terms.reject:
            return Duplicate(key=key, job=job)
        handle = self._handle(claim, job, join)
        return Attached(key=key, job=job, handle=handle, stale=stale, ignored=decision.ignored)

    def _handle(self, claim: Claim, job: JobId, join: Join) -> Handle:
        return Handle(self.store, claim.job.under(job), partial(self._enqueue_again, claim), join)

    def _enqueue_again(self, claim: Claim) -> Handle | Result:
        """Enqueue the same payload as a new job: the record of the first one is gone.

        The answer is as the record keeps it: the caller's handle joins it.
        """
        terms = claim.terms._replace(force=False, reject=False)
        outcome = self._enqueue(Claim(claim.job.under(new_job_id()), terms))
        match outcome:
            case Admitted() | Attached():
                return outcome.handle
            case _:
                return outcome.result(0)


def _joined(decision: Decision, join: Join) -> Decision:
    """Join the answers of *decision* to the caller's own row."""
    match decision:
        case Serve(result=result):
            try:
                return Serve(result=join(result))
            except AnswerUnreadable as error:
                return Refuse(why=Why.UNREADABLE, job=result.job, error=error)
        case Wait(stale=stale) | Run(stale=stale) | Refuse(stale=stale):
            return decision if stale is None else replace(decision, stale=_joined_stale(stale, join))
    assert_never(decision)


def _joined_stale(stale: Result, join: Join) -> Result | None:
    try:
        return join(stale)
    except AnswerUnreadable:
        # The caller is no worse off than without one.
        return None


def _refused(key: Key, decision: Refuse) -> Outcome:
    job, failure, stale = decision.job, decision.failure, decision.stale
    match decision.why:
        case Why.FAILED if failure is not None:
            return Negative(key=key, job=job, failure=failure, attempts=decision.attempts, stale=stale)
        case Why.RESTS:
            return Backoff(key=key, job=job, wait=decision.rest, failure=failure, stale=stale)
        case Why.CONFLICT:
            return Conflict(key=key)
        case Why.UNREADABLE if isinstance(decision.error, AnswerUnreadable):
            return Unreadable(key=key, job=job, error=decision.error)
        case Why.FAILED | Why.UNREADABLE | Why.SUPERSEDED | Why.GONE | Why.STORE_DOWN:
            # No reply of ``admit`` means one of these.
            raise decision.to_error(key)
    assert_never(decision.why)
