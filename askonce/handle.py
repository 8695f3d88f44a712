"""Waits for a job's answer: a wake-up is a hint, only the record is certain."""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Event as Signal
from typing import TYPE_CHECKING, Self

from askonce.answer import Result, to_result
from askonce.bill import to_error
from askonce.errors import (
    AnswerUnreadable,
    JobError,
    RecordAbsent,
    ResultTimeout,
    StoreUnavailable,
    Superseded,
)
from askonce.follow import POLL, Follower, timed_out
from askonce.freshness import last_good_answer
from askonce.job import Fingerprint, Job, JobId
from askonce.join import as_it_is
from askonce.off_loop import off_loop
from askonce.waiting import waiting_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from askonce.errors import JobFailed
    from askonce.job import Key
    from askonce.join import Join
    from askonce.record import Failure, Snapshot, Status
    from askonce.store import Store


class Handle:
    """One caller's hold on a job, its own or an equal one."""

    # A run may have one for each of its rows.
    __slots__ = (
        "_enqueue_again",
        "_is_admitted",
        "_join",
        "_stale_if_error",
        "_store",
        "_task",
        "fingerprint",
        "job",
        "key",
        "older",
    )

    def __init__(
        self,
        store: Store,
        job: Job,
        enqueue_again: Callable[[], Handle | Result],
        join: Join = as_it_is,
        job_id: JobId | None = None,
        *,
        is_admitted: bool = True,
        stale_if_error: float | None = None,
        older: tuple[Key, ...] = (),
    ) -> None:
        """Follow *job*; *enqueue_again* admits the same payload once more when the record is gone.

        *join* joins the answer to this caller's own row; without it the answer is as the record keeps it.
        *job_id* is the id of an equal job that is in flight. A job that is not *is_admitted* was sent while
        the store was down: what the record has may be older than this request. After a failure, an answer
        that is stale for *stale_if_error* seconds at most is good enough; None for any that is kept. *older*
        are the keys of the same payload in older versions of the task.
        """
        self.key: Key = job.key
        self.job: JobId = job_id or job.id
        #: Of the payload; empty where only its key is known.
        self.fingerprint = job.fingerprint
        self._store, self._enqueue_again = store, enqueue_again
        self._task = job.task
        self._join = join
        self._is_admitted = is_admitted
        self._stale_if_error = stale_if_error
        self.older = older

    @classmethod
    def from_key(cls, store: Store, key: Key, task: str = "") -> Self:
        """Follow whichever job *key* has, without its payload: for a later request, or another process.

        Its answer is as the record keeps it. Without a record of *task*, where one is named, it raises
        RecordAbsent: the job cannot be enqueued again. A key is no secret: check first whether its caller
        may read the answer.
        """

        def enqueue_again() -> Handle:
            raise RecordAbsent(key=key)

        return cls(store, Job(key, JobId(""), Fingerprint(""), task=task, payload=b""), enqueue_again)

    def __repr__(self) -> str:
        return f"Handle(key={self.key!r}, job={self.job!r})"

    def status(self) -> Status:
        """Look at the record once."""
        return self._store.read([self.key])[0].checked().status

    def look(self) -> tuple[Status, Result | None]:
        """Look at the record once; errors as ``settle``."""
        record = self._store.read([self.key])[0]
        return record.checked().status, self.settle(record)

    def result(self, timeout: float, *, fresh_within: float | None = None) -> Result:
        """Wait at most *timeout* seconds for the answer.

        After *fresh_within* seconds the last good answer is good enough, while the job goes on.

        Raises:
            JobFailed: the job ended without one.
            Superseded: another payload took the key over.
            AnswerUnreadable: the answer is damaged, or in a codec that is not installed here.
            ResultTimeout: the job goes on; call again.
            StoreUnavailable: the store did not answer when the time was over.
        """
        began = time.monotonic()
        if fresh_within is not None and fresh_within < timeout:
            with suppress(ResultTimeout, StoreUnavailable):
                return self._wait(max(0.0, fresh_within))
            if (stale := self._last_good()) is not None:
                return stale
        return self._wait(max(0.0, timeout - (time.monotonic() - began)))

    def _wait(self, timeout: float) -> Result:
        for _, outcome in as_completed(self._store, [self], timeout):
            if isinstance(outcome, JobError):
                raise outcome
            return outcome
        raise AssertionError("as_completed yields every handle")

    def _last_good(self) -> Result | None:
        """Return the answer of an earlier job of the same payload; the caller is no worse off without one."""
        try:
            keys = [self.key, *self.older]
            record, *_ = records = self._store.read(keys)
            if record.checked().fingerprint not in ("", self.fingerprint or record.fingerprint):
                return None
            stale = last_good_answer(self.key, self.job, record)
            if stale is not None:
                return self._join(stale)
        except (StoreUnavailable, AnswerUnreadable):
            return None
        return self.older_answer(dict(zip(keys, records, strict=True)))

    def older_answer(self, records: Mapping[Key, Snapshot]) -> Result | None:
        """Return the answer that an older version of the task gave to the same payload.

        *records* are those of the key and of the *older* ones. Where the key has an answer of its own, no
        older one is better. Where that was removed, neither is one that was made before.
        """
        own = records[self.key]
        if own.value is not None:
            return None
        for key in self.older:
            record = records[key]
            made_at = record.value.fence if record.value is not None else 0
            if record.fingerprint == self.fingerprint and made_at > own.removed_at:
                stale = last_good_answer(key, record.job, record)
                if stale is not None:
                    return self._join(stale)
        return None

    async def aresult(self, timeout: float, *, fresh_within: float | None = None) -> Result:
        """Wait as ``result`` does, with its options and errors, on the running loop of asyncio.

        One thread and one connection wait for all jobs of a store and process. To cancel this ends the wait;
        the job goes on.
        """
        from asyncio import wrap_future

        waiting, began = waiting_on(self._store), time.monotonic()
        if fresh_within is not None and fresh_within < timeout:
            with suppress(ResultTimeout, StoreUnavailable):
                return await wrap_future(waiting.wait(self, max(0.0, fresh_within)))
            if (stale := await off_loop(self._last_good)) is not None:
                return stale
        left = max(0.0, timeout - (time.monotonic() - began))
        return await wrap_future(waiting.wait(self, left))

    def settle(self, record: Snapshot) -> Result | None:
        """Read the answer from *record*; None while the job is under way.

        Raises:
            JobFailed: the job ended without one.
            Superseded: another payload took the key over.
            AnswerUnreadable: the answer is damaged, or in a codec that is not installed here.
        """
        kept = self._settle(record)
        return None if kept is None else self._join(kept)

    def _settle(self, record: Snapshot) -> Result | None:
        """Return the answer as the record keeps it."""
        if not self._is_admitted and record.checked().job != self.job:
            # No worker has admitted it yet. What the key has is judged as for any request that comes now.
            return self._resume()
        self._check_is_followed(record.checked())
        failure = record.failure
        if failure is not None and failure.job == self.job:
            if failure.fallback is not None:
                return to_result(self.key, self.job, failure.fallback)
            stale = last_good_answer(self.key, self.job, record, self._stale_if_error)
            if stale is not None:
                return stale
            if record.flight == "idle":
                raise self._failed(record, failure)
        if record.flight != "idle" and not self._was_answered(record):
            self.job = record.job
            return None
        value = record.value or (record.late if record.job == self.job else None)
        if value is not None:
            return to_result(self.key, self.job, value)
        return self._resume()

    def _check_is_followed(self, record: Snapshot) -> None:
        """Raise Superseded where the key has another payload now; a key alone follows any job."""
        if not self.fingerprint:
            if self._task and record.task != self._task:
                raise RecordAbsent(key=self.key)
            self.job = record.job
        elif record.fingerprint not in ("", self.fingerprint):
            raise Superseded(key=self.key, job=self.job)

    def _was_answered(self, record: Snapshot) -> bool:
        """Return whether this job is over and a later one is under way, with the answer still fresh."""
        return record.job != self.job and record.value is not None and record.value.fresh

    def _failed(self, record: Snapshot, failure: Failure) -> JobFailed:
        kind, reason, spend = failure.kind, failure.reason, failure.spend
        return to_error(self.key, self.job, kind, reason, attempts=record.attempts, spend=spend)

    def _resume(self) -> Result | None:
        """Enqueue again a job whose record is gone, or was never made.

        It may be lost, evicted, invalidated or expired.
        """
        again = self._enqueue_again()
        self._is_admitted = True
        if isinstance(again, Result):
            return again
        self.job = again.job
        return None


def as_completed(
    store: Store, handles: Sequence[Handle], timeout: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[Handle, Result | JobError]]:
    """Yield each handle with its answer or the error that ended it, in the order in which the jobs end.

    A job that is not done after *timeout* seconds is yielded with a ResultTimeout. While the store is down,
    its return is waited for like an answer.

    Raises:
        StoreUnavailable: it did not answer when the time was over.
    """
    began = clock()
    with Follower[Handle](store, clock) as follower:
        follower.add(handles)
        while follower:
            left = began + timeout - clock()
            try:
                yield from follower.ended(left)
                if left <= 0 and follower.has_looked:
                    waiting = follower.waiting
                    break
            except StoreUnavailable:
                if left <= 0:
                    raise
                Signal().wait(min(POLL, left))
        else:
            return
    for handle, record in zip(waiting, store.read([each.key for each in waiting]), strict=True):
        yield handle, timed_out(handle, record, clock() - began)
