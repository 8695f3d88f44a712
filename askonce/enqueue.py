"""Half one: payload -> job -> admit -> send."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Unpack, assert_never

from askonce.claim import Claim
from askonce.decide import Policy, admit, enqueue_without_store
from askonce.decision import Refuse, Run, Serve, Wait
from askonce.errors import JobError, OptionInvalid, PayloadInvalid, SendFailed, StoreUnavailable
from askonce.events import EventType, Listener, emit, ignore
from askonce.group import Row, conflicting, ids_of, latest, parts, superseded
from askonce.handle import Handle
from askonce.job import new_job_id
from askonce.join import as_it_is, join_to
from askonce.key import identify, older_keys
from askonce.lost import Resent
from askonce.message import Message, SendsMany, message_of, send_each
from askonce.off_loop import off_loop
from askonce.older import with_older_answers
from askonce.options import as_passed, id_of, name_of, routing_of, terms_of
from askonce.outcomes import Admitted, Attached, Duplicate, Hit, joined, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from askonce.answer import Result
    from askonce.claim import Terms
    from askonce.decision import Decision
    from askonce.job import Fingerprint, JobId, Key, Routing
    from askonce.join import Join
    from askonce.message import Admitter, Sender
    from askonce.options import Options
    from askonce.outcomes import Outcome
    from askonce.spec import JobSpec
    from askonce.store import Admission, Reply, Store


class _Call(NamedTuple):
    """What one caller chose for each of its payloads."""

    terms: Terms
    routing: Routing
    tenant: str
    run: str
    options: Options
    spec: JobSpec
    #: The option that chose the id of a new job; empty where the id is drawn.
    chose_id: str = ""

    def ignored_by(self, decision: Run | Wait, claim: Claim) -> tuple[str, ...]:
        """Return the options that the job in flight did not take, as the caller named them."""
        ignored = as_passed(decision.ignored, self.options)
        return (*ignored, self.chose_id) if self.chose_id and decision.job != claim.job.id else ignored


@dataclass(frozen=True, slots=True, kw_only=True)
class Producer:
    """Enqueues jobs: on a store, and through a way to the workers."""

    store: Store
    sender: Sender
    listen: Listener = ignore
    #: The store admits, and the message follows in a second step, where there is none.
    publish: Admitter | None = None
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
        job_id = options.get("job")
        if job_id is not None:
            id_of("job", job_id)
        call = self._call(spec, options, "" if job_id is None else "job")
        claim, join = self._claim(spec, payload, call, job_id), join_to(spec, payload)
        try:
            outcome = self._enqueue(claim, join, call)
        except StoreUnavailable as down:
            return self._enqueue_without_store(spec, claim, join, down, call)
        return with_older_answers(self.store, {0: outcome})[0] if spec.serves_versions else outcome

    async def enqueue_async(
        self, spec: JobSpec, payload: Mapping[str, object], **options: Unpack[Options]
    ) -> Outcome:
        """Enqueue as ``enqueue`` does, on the running loop of asyncio; one of a few threads makes the call.

        To cancel this ends the wait; the job is enqueued.
        """
        return await off_loop(partial(self.enqueue, spec, payload, **options))

    def enqueue_many(
        self,
        spec: JobSpec,
        payloads: Iterable[Mapping[str, object] | PayloadInvalid],
        *,
        jobs: Sequence[str] | None = None,
        under_way: Callable[[Key], Fingerprint | None] | None = None,
        **options: Unpack[Options],
    ) -> list[Outcome | JobError]:
        """Enqueue each of *payloads* as ``enqueue`` does; the outcomes are in their order.

        Up to 500 payloads, and a MiB of them, take one round trip. The *options* hold for each payload.
        *jobs* are the ids of the new jobs, one for each payload.

        An error of one payload is returned in its place, and costs no other one its outcome: PayloadInvalid,
        SendFailed, or that its record cannot be used. A PayloadInvalid may stand in the place of a payload
        already. Of payloads that have one key and differ, the last is enqueued. The others are Superseded
        ``by`` its position, unless the spec refuses conflicts. Where *under_way* returns the fingerprint of
        another payload for a key, which the caller waits for, the payload is not enqueued: it is a Conflict.

        Raises:
            OptionInvalid: names the option; nothing was enqueued.
            StoreUnavailable: some payloads may have been enqueued. The same call again finds their jobs or
                answers; with the same *jobs*, those that are queued are Admitted again.
        """
        if "job" in options:
            raise OptionInvalid(option="job", reason="is the id of one job: pass jobs")
        call, payloads = self._call(spec, options, "" if jobs is None else "jobs"), list(payloads)
        rows, found = self._rows(spec, payloads, ids_of(jobs, len(payloads)), call)
        kept, replaced = latest(rows) if spec.on_mismatch == "replace" else (rows, [])
        if under_way is not None:
            kept = conflicting(kept, under_way, found)
        for part in parts(kept):
            found.update(self._enqueue_part(spec, part, call))
        found.update(superseded(replaced, found))
        return [found[position] for position in range(len(payloads))]

    def _call(self, spec: JobSpec, options: Options, chose_id: str) -> _Call:
        terms = terms_of(spec, options, self.sender.more_urgent, self.clock())
        tenant, run = name_of("tenant", options.get("tenant", "")), name_of("run", options.get("run", ""))
        return _Call(terms, routing_of(options), tenant, run, options, spec, chose_id)

    def _claim(self, spec: JobSpec, payload: Mapping[str, object], call: _Call, job_id: str | None) -> Claim:
        job = identify(spec, payload, call.tenant, job_id, run=call.run, routing=call.routing)
        return Claim(job.sent_by(self.sender.route(job, payload, call.options)), call.terms)

    def _rows(
        self,
        spec: JobSpec,
        payloads: Sequence[Mapping[str, object] | PayloadInvalid],
        ids: Sequence[str],
        call: _Call,
    ) -> tuple[list[Row], dict[int, Outcome | JobError]]:
        """Return the payloads that can be admitted, and by their positions the errors of the others."""
        rows: list[Row] = []
        errors: dict[int, Outcome | JobError] = {}
        for position, (payload, job_id) in enumerate(zip(payloads, ids, strict=True)):
            if isinstance(payload, PayloadInvalid):
                errors[position] = payload
                continue
            try:
                claim = self._claim(spec, payload, call, job_id)
            except PayloadInvalid as invalid:
                errors[position] = invalid
            else:
                rows.append(Row(position, claim, join_to(spec, payload)))
        return rows, errors

    def _enqueue_part(self, spec: JobSpec, part: list[Row], call: _Call) -> dict[int, Outcome | JobError]:
        """Return the outcomes of the rows of one round trip, by their positions."""
        found: dict[int, Outcome | JobError] = {}
        due: list[tuple[int, Message, bool]] = []
        lost: StoreUnavailable | None = None
        try:
            replies = (self.publish or self.store).admit_many([row.claim for row in part])
            for row, reply in zip(part, replies, strict=True):
                found[row.position] = self._settle(row, reply, call, due)
        except StoreUnavailable as down:
            lost = down
        found.update(self._dispatch_many(due))
        if lost is not None:
            for row in part[len(found) :]:
                found[row.position] = self._enqueue_without_store(spec, row.claim, row.join, lost, call)
        return with_older_answers(self.store, found) if call.spec.serves_versions else found

    def _settle(
        self, row: Row, reply: Reply[Admission] | JobError, call: _Call, due: list[tuple[int, Message, bool]]
    ) -> Outcome | JobError:
        """Return the outcome of one row of many; a message that is the caller's becomes *due*."""
        if isinstance(reply, JobError):
            return reply
        try:
            decision = self._decide(row.claim, row.join, reply)
            if isinstance(decision, Run) and (message := message_of(row.claim.job, decision)):
                due.append((row.position, message, decision.new))
            return self._outcome(row.claim, decision, row.join, call)
        except JobError as error:
            return error

    def _dispatch_many(self, due: list[tuple[int, Message, bool]]) -> dict[int, SendFailed]:
        """Send messages; return the errors by the positions of their rows."""
        failed: dict[int, SendFailed] = {}
        again: list[Message] = []
        for (position, message, new), error in zip(due, self._send_many(due), strict=True):
            if error is not None:
                emit(self.listen, EventType.JOB_SEND_FAILED, message.job)
                failed[position] = error
            elif not new:
                again.append(message)
        if again:
            self._count_resent(again)
        return failed

    def _send_many(self, due: list[tuple[int, Message, bool]]) -> list[SendFailed | None]:
        messages = [message for _, message, _ in due]
        if messages and isinstance(self.sender, SendsMany):
            return self.sender.send_many(messages)
        return send_each(self.sender.send, messages)

    def _enqueue(self, claim: Claim, join: Join, call: _Call | None) -> Outcome:
        decision = self._decide(claim, join)
        if isinstance(decision, Run) and (message := message_of(claim.job, decision)):
            self._send(message)
            if not decision.new:
                self._count_resent([message])
        return self._outcome(claim, decision, join, call)

    def _decide(self, claim: Claim, join: Join, reply: Reply[Admission] | None = None) -> Decision:
        store_admit = (self.publish or self.store).admit
        return joined(admit(store_admit, claim, Policy.LEAVE, self.listen, reply=reply), join)

    def _outcome(self, claim: Claim, decision: Decision, join: Join, call: _Call | None) -> Outcome:
        match decision:
            case Serve(result=result):
                return Hit(key=claim.job.key, job=result.job, answer=result)
            case Run() | Wait():
                return self._under_way(claim, decision, join, call)
            case Refuse():
                return refused(claim.job.key, decision)
        assert_never(decision)

    def _enqueue_without_store(
        self, spec: JobSpec, claim: Claim, join: Join, down: StoreUnavailable, call: _Call
    ) -> Admitted:
        """Leave it to the worker to admit the job; of equal jobs that are sent meanwhile, one is called."""
        decision = enqueue_without_store(spec, claim, broker_apart=self.sends_alone, down=down)
        match decision:
            case Refuse():
                raise decision.to_error(claim.job.key)
            case Run():
                try:
                    self._send(Message(claim.job, admitted=False, drawn=not call.chose_id))
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
                again = partial(self._enqueue_again, claim, is_new=False)
                if_error = claim.terms.stale_if_error
                handle = Handle(
                    self.store, claim.job, again, join, is_admitted=False, stale_if_error=if_error
                )
                return Admitted(key=claim.job.key, job=claim.job.id, handle=handle, degraded=True)
        assert_never(decision)

    def _send(self, message: Message) -> None:
        try:
            self.sender.send(message)
        except SendFailed:
            emit(self.listen, EventType.JOB_SEND_FAILED, message.job)
            raise

    def _count_resent(self, messages: Sequence[Message]) -> None:
        # The messages are out. Not counted, each may be sent once more, which costs no call.
        with suppress(StoreUnavailable):
            self.store.resent([Resent(each.job.key, each.job.id, each.sent_at) for each in messages])

    def _under_way(self, claim: Claim, decision: Run | Wait, join: Join, call: _Call | None) -> Outcome:
        key, job, stale = claim.job.key, decision.job, decision.stale
        if isinstance(decision, Run) and decision.meanwhile is not None:
            return Hit(key=key, job=job, answer=decision.meanwhile)
        if isinstance(decision, Run) and decision.new:
            return Admitted(key=key, job=job, handle=self._handle(claim, job, join, call), stale=stale)
        if claim.terms.reject and decision.job != claim.job.id:
            return Duplicate(key=key, job=job)
        handle = self._handle(claim, job, join, call)
        ignored = call.ignored_by(decision, claim) if call else ()
        return Attached(key=key, job=job, handle=handle, stale=stale, ignored=ignored)

    def _handle(self, claim: Claim, job: JobId, join: Join, call: _Call | None) -> Handle:
        again, if_error = partial(self._enqueue_again, claim), claim.terms.stale_if_error
        older = older_keys(call.spec, claim.job) if call else ()
        return Handle(self.store, claim.job, again, join, job, stale_if_error=if_error, older=older)

    def _enqueue_again(self, claim: Claim, *, is_new: bool = True) -> Handle | Result:
        """Enqueue the same payload once more: the record of its job is gone, or was never made.

        It *is_new* where the first job had a record. The answer is as the record keeps it: the caller's
        handle joins it.
        """
        terms = claim.terms._replace(force=False, reject=False)
        job = claim.job.under(new_job_id()) if is_new else claim.job
        outcome = self._enqueue(Claim(job, terms), as_it_is, None)
        match outcome:
            case Admitted() | Attached():
                return outcome.handle
            case _:
                return outcome.result(0)
