"""Waits for a job's answer: a wake-up is a hint, the record is the truth."""

from __future__ import annotations

import time
from threading import Event as Signal
from typing import TYPE_CHECKING

from askonce.errors import JobError, JobFailed, ResultTimeout, StoreUnavailable, Superseded
from askonce.record import Result, Snapshot, Status, to_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from askonce.store import Store

#: Seconds between looks at the record while no wake-up comes.
POLL = 1.0


class Handle:
    """One asker's hold on a job, own or somebody else's."""

    def __init__(
        self, store: Store, key: str, job: str, fingerprint: str, ask_again: Callable[[], Handle | Result]
    ) -> None:
        """Follow *job*; *ask_again* admits the same payload once more when the record is gone."""
        self.key, self.job = key, job
        self._store, self._fingerprint, self._ask_again = store, fingerprint, ask_again

    def __repr__(self) -> str:
        return f"Handle(key={self.key!r}, job={self.job!r})"

    def status(self) -> Status:
        """Look at the record once."""
        return self._store.read([self.key])[0].status

    def result(self, timeout: float) -> Result:
        """Wait at most *timeout* seconds for the answer.

        Raises:
            JobFailed: the job ended without one.
            Superseded: another payload took the key over.
            ResultTimeout: the job goes on; ask again.
            StoreUnavailable: the store did not answer when the time was over.
        """
        for _, outcome in as_completed(self._store, [self], timeout):
            if isinstance(outcome, JobError):
                raise outcome
            return outcome
        raise AssertionError("as_completed answers for every handle")

    def settle(self, record: Snapshot) -> Result | None:
        """Read the answer off *record*; None while the job is under way.

        Raises:
            JobFailed: the job ended without one.
            Superseded: another payload took the key over.
        """
        if record.fingerprint not in ("", self._fingerprint):
            raise Superseded(key=self.key, job=self.job)
        failure = record.failure
        if failure is not None and failure.job == self.job:
            if failure.fallback is not None:
                return to_result(self.key, self.job, failure.fallback)
            if failure.kind in ("transient", "quarantined") and record.value is not None:
                return to_result(self.key, self.job, record.value, "stale")
            if record.flight == "idle":
                raise self._failed(record, failure.kind, failure.reason)
        if record.flight != "idle" and not self._was_answered(record):
            self.job = record.job
            return None
        if record.value is not None:
            return to_result(self.key, self.job, record.value)
        return self._resume()

    def _was_answered(self, record: Snapshot) -> bool:
        """Tell whether this job is over and a later one is under way, with the answer still fresh."""
        return record.job != self.job and record.value is not None and record.value.fresh

    def _failed(self, record: Snapshot, kind: object, reason: str) -> JobFailed:
        return JobFailed(key=self.key, job=self.job, kind=kind, reason=reason, attempts=record.attempts)

    def _resume(self) -> Result | None:
        """Ask again for a job whose record is gone: lost, evicted, invalidated or expired."""
        again = self._ask_again()
        if isinstance(again, Result):
            return again
        self.job = again.job
        return None


def as_completed(
    store: Store, handles: Sequence[Handle], timeout: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[Handle, Result | JobError]]:
    """Yield each handle with its answer or the error that ended it, as they come.

    What is not done after *timeout* seconds is yielded with a ResultTimeout. A store that is away
    meanwhile is waited for like an answer.

    Raises:
        StoreUnavailable: it did not answer when the time was over.
    """
    began, waiting = clock(), list(handles)
    while True:
        try:
            yield from _follow(store, waiting, began + timeout, clock)
            for handle, record in zip(waiting, _read(store, waiting), strict=True):
                yield handle, _timed_out(handle, record, clock() - began)
        except StoreUnavailable:
            left = began + timeout - clock()
            if left <= 0:
                raise
            Signal().wait(min(POLL, left))
        else:
            return


def _follow(
    store: Store, waiting: list[Handle], until: float, clock: Callable[[], float]
) -> Iterator[tuple[Handle, Result | JobError]]:
    """Yield what is done and take it off *waiting*, until nothing is left or the time is over."""
    yield from _take_settled(store, waiting, waiting)
    if not waiting:
        return
    with store.subscribe([handle.key for handle in waiting]) as subscription:
        look_at, all_looked_at = list(waiting), clock()
        while waiting:
            yield from _take_settled(store, waiting, look_at)
            left = until - clock()
            if left <= 0:
                return
            heard = subscription.wait(min(POLL, left)) if waiting else frozenset()
            # Only those that were heard of; all of them once a POLL, for a wake-up may be missed.
            look_at = [handle for handle in waiting if handle.key in heard]
            if clock() - all_looked_at >= POLL:
                look_at, all_looked_at = list(waiting), clock()


def _take_settled(
    store: Store, waiting: list[Handle], look_at: Sequence[Handle]
) -> Iterator[tuple[Handle, Result | JobError]]:
    settled: dict[Handle, Result | JobError] = {}
    for handle, record in zip(look_at, _read(store, look_at), strict=True):
        try:
            outcome = handle.settle(record)
        except StoreUnavailable:
            raise
        except JobError as error:
            settled[handle] = error
        else:
            if outcome is not None:
                settled[handle] = outcome
    waiting[:] = [handle for handle in waiting if handle not in settled]
    yield from settled.items()


def _read(store: Store, handles: Sequence[Handle]) -> list[Snapshot]:
    return store.read([handle.key for handle in handles]) if handles else []


def _timed_out(handle: Handle, record: Snapshot, waited: float) -> ResultTimeout:
    return ResultTimeout(key=handle.key, state=record.status.value, waited_seconds=round(waited, 3))
