"""Celery's result of a job, read from the job's record: it needs no result backend."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

from celery import states
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult
from celery.result import assert_will_not_block as _require_no_task  # type: ignore[attr-defined]  # not in the stubs

from askonce.errors import JobError, ResultTimeout, StoreUnavailable
from askonce.handle import Handle
from askonce.join import join_to
from askonce.outcomes import Admitted, Attached, Backoff, Conflict, Duplicate, Hit, Negative, Unreadable
from askonce.record import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.answer import Result
    from askonce.job import Key
    from askonce.outcomes import Outcome

#: Seconds that a caller without a timeout waits: no job lives longer.
_FOR_EVER = 10 * 365 * 86_400.0


class RecordResult(AsyncResult):  # type: ignore[type-arg]  # generic in the stubs only
    """``get``, ``state`` and ``result`` look at the record, and join the answer to the caller's own row.

    ``key`` finds it again in another process: ``task.result(key)``. ``not_taken`` names the caller's options
    that the job in flight did not take.
    """

    #: Several of these may share one id, which a backend would return one result for.
    supports_native_join = False

    #: What Celery's properties read once the end is known.
    _cache: Any

    def __init__(
        self,
        task: Any,
        of: Outcome | Handle,
        *,
        row: Mapping[str, object] | None = None,
    ) -> None:
        """Follow the job of *of* for a caller who passed *row* to *task*."""
        # A key alone names no job yet.
        super().__init__(of.job or of.key, task.backend, app=task.app)
        self.key = of.key
        self.not_taken = of.ignored if isinstance(of, Attached) else ()
        self._task, self._row, self._join = task, row, join_to(task.job_spec, row)
        self._handle = self._follow(of)

    def _follow(self, of: Outcome | Handle) -> Handle | None:
        """Return the handle to look at; None where the end is known."""
        match of:
            case Handle():
                return of
            case Admitted() | Attached():
                return of.handle
            case Hit() | Negative() | Backoff() | Duplicate() | Unreadable() | Conflict():
                self._settle(lambda: of.result(0))
                return None
        assert_never(of)

    def get(  # type: ignore[override]  # noqa: PLR0913, PLR0917  # Celery's signature
        self,
        timeout: float | None = None,
        propagate: bool = True,  # noqa: FBT001, FBT002  # Celery's signature
        interval: float = 0.5,
        no_ack: bool = True,  # noqa: FBT001, FBT002  # Celery's signature
        follow_parents: bool = True,  # noqa: FBT001, FBT002  # Celery's signature
        callback: Callable[[str, object], object] | None = None,
        on_message: Callable[..., object] | None = None,
        on_interval: Callable[[], object] | None = None,
        disable_sync_subtasks: bool = True,  # noqa: FBT001, FBT002  # Celery's signature
        **_states: object,
    ) -> Any:
        """Wait for the answer, at most *timeout* seconds; without one, until the job has ended.

        Raises:
            celery.exceptions.TimeoutError: the job goes on.
            JobFailed: it ended without an answer; returned where *propagate* is off.
            StoreUnavailable: the store did not answer when the time was over.
            ValueError: *on_message* needs a result backend.
        """
        del no_ack, follow_parents  # a record sends no messages, and the job has no parent
        if on_message is not None:
            raise ValueError("on_message: the answer is read from the record, which sends no messages")
        if disable_sync_subtasks:
            _require_no_task()
        self._wait(_FOR_EVER if timeout is None else timeout, interval, on_interval)
        if propagate:
            self.maybe_throw(callback=callback)
        elif callback is not None:
            callback(self.id, self.result)
        return self.result

    wait = get  # type: ignore[assignment]  # the stubs name it by its type

    def _wait(self, timeout: float, interval: float, on_interval: Callable[[], object] | None) -> None:
        until = time.monotonic() + timeout
        while self._handle is not None and self._cache is None:
            left = max(0.0, until - time.monotonic())
            step = left if on_interval is None else min(left, interval)
            try:
                self._settle(partial(self._handle.result, step))
            except (ResultTimeout, StoreUnavailable) as error:
                if step < left:
                    pass  # the next interval looks again
                elif isinstance(error, StoreUnavailable):
                    raise
                else:
                    raise CeleryTimeoutError("The operation timed out.") from error
            if on_interval is not None:
                on_interval()

    def _settle(self, result: Callable[[], Result | None]) -> None:
        """Keep how the job ended; None means that it goes on.

        Raises:
            ResultTimeout: it goes on.
            StoreUnavailable: that is unknown.
        """
        try:
            if (known := result()) is not None:
                self._keep(states.SUCCESS, self._join(known).value)
        except (ResultTimeout, StoreUnavailable):
            raise
        except JobError as error:
            self._keep(states.FAILURE, error)

    def _keep(self, state: str, result: object) -> None:
        self._cache = self._meta(state, result)
        self.on_ready(self)

    def _meta(self, state: str, result: object = None) -> dict[str, Any]:
        return {"task_id": self.id, "status": state, "result": result, "traceback": None, "children": []}

    def _get_task_meta(self) -> dict[str, Any]:
        """Look at the record: every property of Celery's result goes through here."""
        if self._cache is None and self._handle is not None:
            state = self._look(self._handle)
            if self._cache is None:
                return self._meta(state)
        return self._cache or self._meta(states.PENDING)

    def _look(self, handle: Handle) -> str:
        """Look once; return what Celery calls the state of a job that goes on."""
        status = Status.ABSENT

        def look() -> Result | None:
            nonlocal status
            status, result = handle.look()
            return result

        self._settle(look)
        return states.STARTED if status is Status.RUNNING else states.PENDING

    def then(
        self,
        callback: Callable[..., object],
        on_error: Callable[..., object] | None = None,
        weak: bool = False,  # noqa: FBT001, FBT002  # Celery's signature
    ) -> Any:
        """Call *callback* once a look at the record finds the end."""
        del weak  # no backend holds this
        return self.on_ready.then(callback, on_error)

    def forget(self) -> None:
        """Remove Celery's own result, where there is one; the answer stays in the record."""
        if self._task.keeps_results:
            self.backend.forget(self.id)

    def __eq__(self, other: object) -> bool:
        """Differ from the result of an equal call, which has the same id: its caller may have another row."""
        return self is other if isinstance(other, RecordResult) else bool(super().__eq__(other))

    __hash__ = AsyncResult.__hash__

    def __copy__(self) -> RecordResult:
        """Return this one: it follows one job for one caller."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the key: another process reads the same record."""
        return _again, (self._task, self.key, self._row)


class NotKept(AsyncResult):  # type: ignore[type-arg]  # generic in the stubs only
    """A message's id, where only the record has the answer: a backend would be waited for in vain."""

    supports_native_join = False

    def __init__(self, task: Any, task_id: str) -> None:
        """Follow nothing: *task_id* is the id of a message of *task*."""
        super().__init__(task_id, task.backend, app=task.app)
        self._task = task

    def get(self, *_: object, **__: object) -> Any:
        """Refuse.

        Raises:
            ValueError: always; it names what has the answer.
        """
        raise ValueError(
            f"the result of message {self.id} needs a result backend, and ignore_result=False of "
            f"{self._task.name}; its answer is in the record: use the result of delay(), or result(key)"
        )

    wait = get

    def _get_task_meta(self) -> Any:
        """Refuse every other look."""
        return self.get()

    def __reduce__(self) -> tuple[Any, ...]:
        """Stay the same in another process."""
        return NotKept, (self._task, self.id)


def _again(task: Any, key: Key, row: Mapping[str, object] | None) -> RecordResult:
    return RecordResult(task, Handle.from_key(task.askonce.process().store, key), row=row)
