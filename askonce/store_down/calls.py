"""Answers from this process's memory, and makes calls without the store, while the store is down.

Only tasks with ``on_store_down="local"`` make such calls: for each key one at a time in this process, within
a budget, and again only when the kept answer is too old. Other processes know nothing of them, so every such
answer is marked ``degraded``.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, assert_never

from askonce.answer import Codec, Encoded, Meta, StoredValue, Ttl, to_result
from askonce.attempt import Attempt, calling_job, costs_of, make
from askonce.claim import Claim, Terms
from askonce.decide import report_reused, run_without_store, start
from askonce.decision import Refuse, Run, Serve
from askonce.errors import CallFailed, StoreUnavailable, ValueInvalid
from askonce.events import EventType, Listener, emit, ignore
from askonce.execution import Computed, Failed, Reused, report_done
from askonce.job import new_owner
from askonce.lease import since_boot
from askonce.spend import NOTHING, total
from askonce.store import Lease, Write
from askonce.store_down.hits import LocalHits
from askonce.store_down.spill import Spill, Unstored, compact
from askonce.tally import Book, book_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.answer import Result
    from askonce.attempt import Made
    from askonce.execution import Delivery
    from askonce.job import Fingerprint, Job, Key, Owner
    from askonce.record import Snapshot
    from askonce.spec import JobSpec
    from askonce.spend import Costs, Spend
    from askonce.store import Store
    from askonce.store_down.cache import LocalCache

#: Calls without the store in each of the cache's times to live; about a call a second for 5 minutes.
_BUDGET = 300


class LocalCalls:
    """Runs deliveries without the store, as their specs allow."""

    def __init__(
        self,
        store: Store,
        cache: LocalCache,
        spill: Spill,
        *,
        codec: Codec | None = None,
        listen: Listener = ignore,
        holder: str = "",
        budget: int = _BUDGET,
        clock: Callable[[], float] = since_boot,
    ) -> None:
        """Keep answers in *cache*, and in *spill* until *store* is back.

        At most *budget* calls are made in each of the cache's times to live. *holder* names this process to
        an operator.
        """
        self._store, self._cache, self._spill, self._codec = store, cache, spill, codec or Codec()
        self._listen, self._holder = listen, holder
        self._hits = LocalHits(store, spill, holder)
        self._budget, self._clock = budget, clock
        self._spent, self._spent_since = 0, clock()
        self._flights: dict[tuple[Key, Fingerprint], Future[Computed | Failed]] = {}
        self._lock = Lock()

    def keep(self, delivery: Delivery, result: Result) -> None:
        """Keep *result* if it is fresh."""
        job, spec = delivery.job, delivery.spec
        if result.source not in ("call", "cache") or result.fresh_for <= 0:
            return
        try:
            data = self._codec.encode(result.value, spec.max_value_bytes)
        except ValueInvalid:
            return  # another codec stored it; here it does not fit
        value = StoredValue(
            data=data,
            meta=Meta(attempts=result.attempts, spend=result.spend),
            fence=result.fence,
            stored_at=result.stored_at,
            age=result.age,
            fresh_for=result.fresh_for,
        )
        self._cache.put(job.key, job.fingerprint, result.job, value, result.fresh_for)

    def run(
        self, delivery: Delivery, body: Callable[[], object], down: StoreUnavailable, *, anew: bool = False
    ) -> Computed | Reused | Failed:
        """Answer *delivery* without the store, which is *down*; *anew*: by no answer that is kept here.

        Raises:
            StoreUnavailable: there is no answer here, and the call may not be made or failed for now.
        """
        job = delivery.job
        decision = run_without_store(delivery.spec, None if anew else self._kept(delivery), job, down)
        match decision:
            case Serve(result=result):
                self._report(delivery, "cache")
                self._hits.count(job, result.spend)
                report_reused(self._listen, job, result)
                return Reused.of(job, result)
            case Run():
                return self._call_once(delivery, body, down)
            case Refuse():
                raise decision.to_error(job.key)
        assert_never(decision)

    def _kept(self, delivery: Delivery) -> Result | None:
        job = delivery.job
        kept = self._cache.get(job.key, job.fingerprint)
        if kept is None:
            return None
        job_id, value, seconds = kept
        result = to_result(job.key, job_id, value, "cache")
        return replace(result, age=result.age + seconds, degraded=True)

    def _call_once(
        self, delivery: Delivery, body: Callable[[], object], down: StoreUnavailable
    ) -> Computed | Failed:
        """Make the call, or wait for the same call of another thread."""
        identity = delivery.job.key, delivery.job.fingerprint
        with self._lock:
            flight = self._flights.get(identity)
            mine = Future[Computed | Failed]()
            self._flights.setdefault(identity, mine)
        if flight is not None:
            return self._share(delivery, flight, down)
        try:
            mine.set_result(self._call(delivery, body, down))
        except BaseException as error:
            # The end of this thread is not the end of those that wait for it.
            mine.set_exception(error if isinstance(error, Exception) else down)
            raise
        finally:
            with self._lock:
                del self._flights[identity]
        return mine.result()

    def _share(
        self, delivery: Delivery, flight: Future[Computed | Failed], down: StoreUnavailable
    ) -> Computed | Failed:
        try:
            shared = flight.result(delivery.spec.lease)
        except TimeoutError:
            raise down from None
        if isinstance(shared, Computed):
            self._report(delivery, "shared")
        return shared

    def _call(
        self, delivery: Delivery, body: Callable[[], object], down: StoreUnavailable
    ) -> Computed | Failed:
        self._spend(down)
        job, began, attempt = delivery.job, self._clock(), _attempt_without_record(delivery)
        epoch = self._cache.epoch
        try:
            made = make(
                body,
                attempt,
                codec=self._codec,
                max_bytes=delivery.spec.max_value_bytes,
                clock=self._clock,
            )
        except CallFailed as error:
            cost = costs_of(error, attempt)
            self._report_failure(delivery, error, cost, began, attempt.requests)
            self._keep_money(job, cost.paid)
            if error.kind == "transient":
                raise StoreUnavailable(verb=down.verb, reason=error.reason) from error
            kind, reason = error.kind, error.reason
            return Failed(key=job.key, job=job.id, kind=kind, reason=reason, attempts=1, spend=cost.made)
        self._report(delivery, made.source)
        self._report_made(delivery, made, began, attempt.requests)
        value = _stored(made, delivery.spec)
        if made.source == "call" and made.keep:
            self._keep_for_later(delivery, value, made, began, epoch)
        else:
            self._keep_money(job, made.costs.paid)
        result = replace(to_result(job.key, job.id, value), degraded=True)
        return Computed(key=job.key, job=job.id, result=result, stored=Write.UNAVAILABLE)

    def _report_made(self, delivery: Delivery, made: Made, began: float, requests: str) -> None:
        self._report_unknown(delivery, made.costs.unknown)
        ran: dict[str, object] = {"attempt": 1, "run_seconds": made.made_at - began}
        emit(self._listen, EventType.JOB_UNSTORED, delivery.job, **ran, cost_usd=made.costs.paid.cost_usd)
        end = {"source": made.source, "reason": made.reason, **_end_of(ran, requests)}
        report_done(self._listen, delivery.job, "unstored", made.costs.paid, **end)

    def _report_failure(
        self, delivery: Delivery, error: CallFailed, cost: Costs, began: float, requests: str
    ) -> None:
        """Emit what a failed call cost: no record will have it."""
        job, ran, spend = delivery.job, {"attempt": 1, "run_seconds": self._clock() - began}, cost.paid
        self._report_unknown(delivery, cost.unknown)
        if error.kind == "transient":
            why = {"reason": error.reason, "request_ids": requests}
            emit(self._listen, EventType.JOB_DEFERRED, job, **ran, **why, **spend.known)
            return
        why = {"kind": error.kind, "reason": error.reason}
        emit(self._listen, EventType.JOB_FAILED, job, **ran, **why, **spend.known)
        report_done(self._listen, job, error.kind, spend, reason=error.reason, **_end_of(ran, requests))

    def _report_unknown(self, delivery: Delivery, unknown: tuple[str, ...]) -> None:
        for name in unknown:
            emit(self._listen, EventType.JOB_SPEND_UNKNOWN, delivery.job, field=name)

    def _spend(self, down: StoreUnavailable) -> None:
        with self._lock:
            now = self._clock()
            if now - self._spent_since >= self._cache.ttl:
                self._spent, self._spent_since = 0, now
            self._spent += 1
            if self._spent > self._budget:
                raise StoreUnavailable(verb=down.verb, reason="calls_spent") from down

    def _keep_for_later(
        self, delivery: Delivery, value: StoredValue, made: Made, began: float, epoch: int
    ) -> None:
        job = delivery.job._replace(payload=compact(delivery.job.payload))
        kept, encoded, cost = replace(delivery, job=job), made.encoded, made.costs
        self._cache.put(job.key, job.fingerprint, job.id, value, value.fresh_for, asked=epoch)
        # One token for all tries: a verb may have been executed although its reply was lost.
        owner, ttl = new_owner(self._holder), made.lives(delivery.spec, 0.0)
        unstored = Unstored(
            job=job,
            size=len(encoded.data) + len(encoded.meta),
            write=lambda: self._write(kept, owner, encoded, cost, ttl, began),
        )
        self._keep(unstored)

    def _keep_money(self, job: Job, paid: Spend) -> None:
        """Count what a call paid, once the store is back: there is no answer to store."""
        book, owner, store = _book_of(job, paid), new_owner(self._holder), self._store

        def write() -> Write:
            store.tally.book_late(job.key, owner, book)
            return Write.OK

        if book.amounts:
            self._keep(Unstored(job=job._replace(payload=b""), size=0, write=write, money_only=True))

    def _keep(self, unstored: Unstored) -> None:
        if not self._spill.keep(unstored):
            emit(self._listen, EventType.JOB_UNKEPT, unstored.job, reason="no_room")

    def _write(
        self, delivery: Delivery, owner: Owner, encoded: Encoded, cost: Costs, ttl: Ttl, began: float
    ) -> Write:
        """Store an answer that was made without a lease: fenced if another run has one, or has answered."""
        store, spec, book = self._store, delivery.spec, _book_of(delivery.job, cost.paid)
        admitted = store.admit(Claim(delivery.job, Terms.of(spec))).record
        lease = Lease(delivery.job.key, owner, spec.lease)
        started = start(store, spec, delivery.job.under(admitted.job), lease)
        granted = isinstance(started, Run)
        if isinstance(started, Run) and cost.made == cost.paid:
            encoded = _after(started.record, encoded)
        written = store.complete(
            lease,
            encoded,
            # Its times to live began when it was asked for: a lease tells nothing of that.
            ttl.after(self._clock() - began),
            book if granted else None,
            keep_payload=spec.keep_payload,
            begun_for=self._clock() - began,
        )
        if written is not Write.OK:
            # No run of the record was overtaken, so none is in doubt: counted beside the record.
            store.tally.book_late(lease.key, owner, book)
        return written

    def _report(self, delivery: Delivery, source: str) -> None:
        policy = delivery.spec.on_store_down
        emit(self._listen, EventType.JOB_DEGRADED, delivery.job, policy=policy, source=source)


def _book_of(job: Job, paid: Spend) -> Book:
    """Return what a call without the store paid, and that it was one; a call that was refused is in none."""
    book = book_of(job, paid)
    return book._replace(amounts=(*book.amounts, ("call_without_store", 1))) if book.amounts else book


def _end_of(ran: Mapping[str, object], requests: str) -> dict[str, object]:
    """Return what the end of a job says of its only run; how long it waited is in the record."""
    number = {"attempts": ran["attempt"], "request_ids": requests}
    return {"age_seconds": 0.0, "run_seconds": ran["run_seconds"], **number}


def _attempt_without_record(delivery: Delivery) -> Attempt:
    return Attempt(
        key=delivery.job.key,
        job=delivery.job.id,
        number=1,
        # No fence: a downstream store that compares fences refuses what was made without the record.
        fence=0,
        stale=None,
        reference="",
        checkpoint=lambda _reference: None,
        tenant=delivery.job.tenant,
        run=delivery.job.run,
        called_by=calling_job(),
    )


def _after(record: Snapshot, encoded: Encoded) -> Encoded:
    """Return the answer with what the attempts cost that the job had before the store was down."""
    if record.spent == NOTHING:
        return encoded
    meta = Meta.decode(encoded.meta)
    spend = total([record.spent, meta.spend])
    meta = replace(meta, attempts=record.attempts, spend=spend)
    return Encoded(encoded.data, meta.encode(), spend.micro_usd)


def _stored(made: Made, spec: JobSpec) -> StoredValue:
    fresh_for = made.lives(spec, 0.0).fresh if made.keep else 0.0
    meta = Meta(source=made.source, spend=made.costs.made, reason=made.reason)
    data = made.encoded.data
    return StoredValue(data=data, meta=meta, fence=0, stored_at=time.time(), age=0.0, fresh_for=fresh_for)
