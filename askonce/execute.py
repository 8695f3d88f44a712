"""Half two: start -> renew -> call -> complete or fail."""

from __future__ import annotations

import random
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Event as Signal
from typing import TYPE_CHECKING

from askonce.attempt import Attempt, run
from askonce.errors import CallFailed, Permanent, StoreUnavailable, ValueInvalid
from askonce.events import Event, Listener, ignore
from askonce.execution import Computed, Deferred, Delivery, Execution, Failed, Reused, Skipped
from askonce.record import Codec, Meta, Result, readable, to_result
from askonce.retry import TOLD_FOR, decide
from askonce.store import Failing, Start, Write
from askonce.store_down.spill import Spill, Unstored

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.lease import Lease, LeaseRenewer
    from askonce.record import Answer, Snapshot
    from askonce.spec import JobSpec
    from askonce.store import Reply, Store

#: A fresh answer ends up to this part earlier, so that answers made together do not end together.
JITTER = 0.1
#: Seconds: an answer that is stored too late to be fresh is stale at once.
SHORTEST = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Runs deliveries; one for a process."""

    store: Store
    leases: LeaseRenewer
    codec: Codec = field(default_factory=Codec)
    #: Takes over what was paid for and could not be stored.
    spill: Spill = field(default_factory=Spill)
    listen: Listener = ignore
    #: Told (key, seconds) when a job should be looked at again.
    on_deferred: Callable[[str, float], None] = lambda _key, _after: None
    #: Names this process to a person who asks who has a job.
    holder: str = ""
    draw: Callable[[float, float], float] = random.uniform
    clock: Callable[[], float] = time.monotonic

    def execute(self, delivery: Delivery, body: Callable[[], object]) -> Execution:
        """Run *body* if this delivery is the one that should; store what it returns.

        Raises:
            StoreUnavailable: the store did not answer at the start; the body was not run.
        """
        owner = self.new_owner()
        reply = self._start(delivery, owner)
        if reply.outcome is not Start.GRANTED:
            return self._decline(delivery, reply)
        attempt, began = self._attempt(delivery, owner, reply.record), self.clock()
        with self.leases.hold(delivery.key, owner, delivery.spec.lease) as lease:
            try:
                answer = run(body, attempt)
                data = self.encode(delivery.spec, answer)
            except CallFailed as error:
                return self._fail(delivery, attempt, lease, error, self.clock() - began)
            return self._complete(delivery, attempt, lease, (answer, data), self.clock() - began)

    def new_owner(self) -> str:
        """Draw a token: the right to write as the owner of one run."""
        return f"{self.holder}:{secrets.token_hex(16)}"

    def encode(self, spec: JobSpec, answer: Answer) -> bytes:
        """Encode what a body returned.

        Raises:
            Permanent: it cannot be stored.
        """
        try:
            return self.codec.encode(answer.value, spec.max_value_bytes)
        except ValueInvalid:
            # The same payload would give the same unusable answer again, and be paid for again.
            raise Permanent("value_invalid") from None

    def _start(self, delivery: Delivery, owner: str) -> Reply[Start]:
        spec = delivery.spec
        reply = self.store.start(delivery.key, delivery.job, owner, delivery.fingerprint, spec.lease)
        if reply.outcome is not Start.ABSENT:
            return reply
        # The record was lost between sending and now. Admitting again, not just running, lets only
        # one of several such messages through.
        self.store.admit(delivery.to_claim())
        return self.store.start(delivery.key, delivery.job, owner, delivery.fingerprint, spec.lease)

    def _decline(self, delivery: Delivery, reply: Reply[Start]) -> Execution:
        record, ids = reply.record, {"key": delivery.key, "job": delivery.job}
        if reply.outcome is Start.DONE and record.value is not None:
            self._tell("job.reused", delivery)
            return Reused(**ids, result=to_result(delivery.key, record.job, record.value, "cache"))
        if reply.outcome is Start.NEGATIVE and record.failure is not None:
            return self._failed(delivery, record, 0.0)
        self._tell("job.skipped", delivery, outcome=reply.outcome.value)
        return Skipped(**ids, outcome=reply.outcome)

    def _attempt(self, delivery: Delivery, owner: str, record: Snapshot) -> Attempt:
        return Attempt(
            key=delivery.key,
            job=delivery.job,
            number=record.attempts,
            fence=record.fence,
            # Not to_result: a value in a foreign codec must not cost the lease that was just granted.
            stale=readable(delivery.key, delivery.job, record.value, "stale"),
            reference=record.checkpoint,
            checkpoint=lambda reference: self._checkpoint(delivery.key, owner, reference),
        )

    def _checkpoint(self, key: str, owner: str, reference: str) -> None:
        """Keep *reference* if that is possible.

        It is advice: a fenced owner learns of it when it completes, and a store that is away must not cost
        a call that is paid.
        """
        with suppress(StoreUnavailable):
            self.store.checkpoint(key, owner, reference)

    def _complete(
        self, delivery: Delivery, attempt: Attempt, lease: Lease, answer: tuple[Answer, bytes], seconds: float
    ) -> Execution:
        given, data = answer
        soft, made_at = delivery.spec.soft_ttl * (1 - self.draw(0.0, JITTER)), self.clock()
        late = Unstored(
            task=delivery.spec.name,
            key=delivery.key,
            job=delivery.job,
            size=len(data),
            write=lambda: self._write(lease, answer, attempt, soft, delivery.spec.hard_ttl, made_at),
        )
        written = self._persist(late, lease.seconds)
        self._tell_completed(delivery, attempt, given, written, seconds)
        result = _result(delivery, attempt, given)
        if written in (Write.UNAVAILABLE, Write.ABSENT):
            result = replace(result, degraded=True)
        return Computed(key=delivery.key, job=delivery.job, result=result, stored=written)

    def _write(
        self,
        lease: Lease,
        answer: tuple[Answer, bytes],
        attempt: Attempt,
        soft: float,
        hard: float,
        made_at: float,
    ) -> Write:
        """Store an answer once; its times to live began when it was made."""
        given, data = answer
        meta = Meta(source=given.source, attempts=attempt.number, cost_usd=given.cost_usd, usage=given.usage)
        if given.source != "call":
            fallback = Failing(
                kind="fallback", reason=given.source, keep=TOLD_FOR, data=data, meta=meta.encode()
            )
            return self.store.fail(lease.key, lease.owner, fallback).outcome
        age = self.clock() - made_at
        times = max(SHORTEST, soft - age), max(SHORTEST, hard - age)
        return self.store.complete(lease.key, lease.owner, data, meta.encode(), *times)

    def _persist(self, answer: Unstored, seconds: float) -> Write:
        """Store a paid answer, or leave it to the spill; while that is full, try for *seconds*."""
        give_up_at = self.clock() + seconds
        while True:
            try:
                return answer.write()
            except StoreUnavailable:
                if self.spill.keep(answer) or self.clock() >= give_up_at:
                    return Write.UNAVAILABLE
                Signal().wait(min(0.5, seconds / 10))

    def _tell_completed(
        self, delivery: Delivery, attempt: Attempt, answer: Answer, written: Write, seconds: float
    ) -> None:
        data: dict[str, object] = {"attempt": attempt.number, "run_seconds": seconds}
        match written:
            case Write.OK:
                data |= {"cost_usd": answer.cost_usd, "source": answer.source}
                self._tell("job.completed", delivery, **data)
            case Write.UNAVAILABLE:
                self._tell("job.unstored", delivery, **data)
            case _:
                self._tell("job.fenced", delivery, **data)

    def _fail(
        self, delivery: Delivery, attempt: Attempt, lease: Lease, error: CallFailed, seconds: float
    ) -> Execution:
        failing = decide(delivery.spec, error, attempt.number, self.draw)
        try:
            reply = self.store.fail(lease.key, lease.owner, failing)
        except StoreUnavailable:
            # The lease ends by itself and the reaper sends the job again.
            reason, after = "store_unavailable", lease.seconds
        else:
            if reply.outcome is not Write.OK:
                self._tell("job.fenced", delivery, attempt=attempt.number, run_seconds=seconds)
                return Skipped(key=delivery.key, job=delivery.job, outcome=Start.SUPERSEDED)
            if reply.record.flight == "idle":
                return self._failed(delivery, reply.record, seconds, error)
            reason, after = error.reason, reply.record.wait
        self.on_deferred(delivery.key, after)
        data = {"reason": reason, "after_seconds": after, "run_seconds": seconds}
        self._tell("job.deferred", delivery, attempt=attempt.number, **data, **_spent(error))
        return Deferred(key=delivery.key, job=delivery.job, reason=reason, after=after)

    def _failed(
        self, delivery: Delivery, record: Snapshot, seconds: float, error: CallFailed | None = None
    ) -> Failed:
        failure = record.failure
        kind, reason = (failure.kind, failure.reason) if failure else ("unknown", "unknown")
        data = {"attempt": record.attempts, "kind": kind, "reason": reason, "run_seconds": seconds}
        self._tell("job.failed", delivery, **data, **_spent(error))
        return Failed(key=delivery.key, job=delivery.job, kind=kind, reason=reason, attempts=record.attempts)

    def _tell(self, name: str, delivery: Delivery, **data: object) -> None:
        if self.listen is ignore:
            return
        self.listen(Event(name=name, task=delivery.spec.name, key=delivery.key, job=delivery.job, data=data))


def _result(delivery: Delivery, attempt: Attempt, answer: Answer) -> Result:
    return Result(
        key=delivery.key,
        job=delivery.job,
        value=answer.value,
        source=answer.source,
        age=0.0,
        attempts=attempt.number,
        fence=attempt.fence,
        cost_usd=answer.cost_usd,
        usage=answer.usage,
        stored_at=attempt.fence / 1_000_000,
    )


def _spent(error: CallFailed | None) -> dict[str, object]:
    """What a failed call cost all the same: an answer that was paid for and could not be used."""
    data = error.data if error else {}
    return {name: data[name] for name in ("usage", "cost_usd", "maybe_billed") if data.get(name)}
