"""What one process does while the store is down: answers from its own memory, and calls on its own account.

Only where the spec says ``on_store_down="local"`` is a call made without the store's word: at most once at a
time for each key here, within a budget, and again only when the kept answer is too old. Other processes
know nothing of it, so every such answer says that it is ``degraded``.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from askonce.attempt import Attempt, run
from askonce.errors import CallFailed, StoreUnavailable
from askonce.events import Event
from askonce.execute import SHORTEST
from askonce.execution import Computed, Execution, Failed, Reused
from askonce.record import Meta, Result, StoredValue, to_result
from askonce.store import Write
from askonce.store_down.spill import Unstored

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.execute import Executor
    from askonce.execution import Delivery
    from askonce.record import Answer
    from askonce.store_down.cache import LocalCache

#: Calls without the store in each of the cache's times to live; about a call a second for 5 minutes.
BUDGET = 300


class LocalCalls:
    """Runs deliveries on an executor; while its store is down, as their specs say."""

    def __init__(
        self,
        executor: Executor,
        cache: LocalCache,
        *,
        budget: int = BUDGET,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep answers in *cache*; make at most *budget* calls in each of its times to live."""
        self._executor, self._cache = executor, cache
        self._budget, self._clock = budget, clock
        self._spent, self._spent_since = 0, clock()
        self._flights: dict[tuple[str, str], Future[Computed | Failed]] = {}
        self._lock = Lock()

    def execute(self, delivery: Delivery, body: Callable[[], object]) -> Execution:
        """Run *delivery* on the store, or without it.

        Raises:
            StoreUnavailable: the store is down and the spec, or the budget, forbids the call.
        """
        try:
            executed = self._executor.execute(delivery, body)
        except StoreUnavailable as down:
            return self.instead(delivery, body, down)
        if isinstance(executed, Computed | Reused):
            self.keep(delivery, executed.result)
        return executed

    def keep(self, delivery: Delivery, result: Result) -> None:
        """Keep a fresh *result* that may be needed: the spec says so, or the store does not have it."""
        spec = delivery.spec
        if (spec.on_store_down != "local" and not result.degraded) or result.source not in ("call", "cache"):
            return
        meta = Meta(cost_usd=result.cost_usd, usage=result.usage, attempts=result.attempts)
        value = StoredValue(
            data=self._executor.codec.encode(result.value, spec.max_value_bytes),
            meta=meta,
            fence=result.fence,
            stored_at=result.stored_at,
            age=result.age,
            fresh=True,
        )
        self._cache.put(delivery.key, delivery.fingerprint, result.job, value, spec.soft_ttl - result.age)

    def instead(
        self, delivery: Delivery, body: Callable[[], object], down: StoreUnavailable
    ) -> Computed | Reused | Failed:
        """Answer *delivery* without the store, which is *down*.

        Raises:
            StoreUnavailable: there is no answer here, and the call may not be made or failed for now.
        """
        kept = self._cache.get(delivery.key, delivery.fingerprint)
        if kept is not None:
            job, value, seconds = kept
            result = replace(to_result(delivery.key, job, value, "cache"), degraded=True)
            self._tell(delivery, "cache")
            return Reused(
                key=delivery.key, job=delivery.job, result=replace(result, age=result.age + seconds)
            )
        if delivery.spec.on_store_down != "local":
            raise down
        return self._call_once(delivery, body, down)

    def _call_once(
        self, delivery: Delivery, body: Callable[[], object], down: StoreUnavailable
    ) -> Computed | Failed:
        """Make the call, or wait for the same call of another thread."""
        identity = delivery.key, delivery.fingerprint
        with self._lock:
            flight = self._flights.get(identity)
            mine = Future[Computed | Failed]()
            self._flights.setdefault(identity, mine)
        if flight is not None:
            try:
                shared = flight.result(delivery.spec.lease)
            except TimeoutError:
                raise down from None
            if isinstance(shared, Computed):
                self._tell(delivery, "shared")
            return shared
        try:
            mine.set_result(self._call(delivery, body, down))
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._flights[identity]
        return mine.result()

    def _call(
        self, delivery: Delivery, body: Callable[[], object], down: StoreUnavailable
    ) -> Computed | Failed:
        self._spend(down)
        # No fence: a downstream store that asks for one refuses what was made without the record.
        attempt = Attempt(
            key=delivery.key,
            job=delivery.job,
            number=1,
            fence=0,
            stale=None,
            reference="",
            checkpoint=lambda _reference: None,
        )
        try:
            answer = run(body, attempt)
            data = self._executor.encode(delivery.spec, answer)
        except CallFailed as error:
            if error.kind == "transient":
                raise StoreUnavailable(verb=down.verb, reason=error.reason) from error
            return Failed(
                key=delivery.key, job=delivery.job, kind=error.kind, reason=error.reason, attempts=1
            )
        self._tell(delivery, answer.source)
        value = _stored(answer, data)
        if answer.source == "call":
            self._keep_for_later(delivery, value)
        result = replace(to_result(delivery.key, delivery.job, value), degraded=True)
        return Computed(key=delivery.key, job=delivery.job, result=result, stored=Write.UNAVAILABLE)

    def _spend(self, down: StoreUnavailable) -> None:
        with self._lock:
            now = self._clock()
            if now - self._spent_since >= self._cache.ttl:
                self._spent, self._spent_since = 0, now
            self._spent += 1
            if self._spent > self._budget:
                raise StoreUnavailable(verb=down.verb, reason="calls_spent") from down

    def _keep_for_later(self, delivery: Delivery, value: StoredValue) -> None:
        self._cache.put(delivery.key, delivery.fingerprint, delivery.job, value, delivery.spec.soft_ttl)
        # One token for all tries: each verb may have been executed although its reply did not come.
        owner, made_at = self._executor.new_owner(), self._clock()
        unstored = Unstored(
            task=delivery.spec.name,
            key=delivery.key,
            job=delivery.job,
            size=len(value.data),
            write=lambda: self._store(delivery, owner, value, made_at),
        )
        if not self._executor.spill.keep(unstored):
            data = {"reason": "no_room"}
            self._executor.listen(
                Event(name="job.unkept", task=unstored.task, key=unstored.key, job=unstored.job, data=data)
            )

    def _store(self, delivery: Delivery, owner: str, value: StoredValue, made_at: float) -> Write:
        """Store an answer for which nobody held a lease: fenced if somebody else has one, or has answered."""
        store, spec, key = self._executor.store, delivery.spec, delivery.key
        record = store.admit(delivery.to_claim()).record
        store.start(key, record.job, owner, delivery.fingerprint, spec.lease)
        age = self._clock() - made_at
        times = max(SHORTEST, spec.soft_ttl - age), max(SHORTEST, spec.hard_ttl - age)
        return store.complete(key, owner, value.data, value.meta.encode(), *times)

    def _tell(self, delivery: Delivery, source: str) -> None:
        data = {"policy": delivery.spec.on_store_down, "source": source}
        self._executor.listen(
            Event(name="job.degraded", task=delivery.spec.name, key=delivery.key, job=delivery.job, data=data)
        )


def _stored(answer: Answer, data: bytes) -> StoredValue:
    meta = Meta(source=answer.source, cost_usd=answer.cost_usd, usage=answer.usage)
    return StoredValue(data=data, meta=meta, fence=0, stored_at=time.time(), age=0.0, fresh=True)
