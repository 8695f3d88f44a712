"""Runs a task's body; what it raises to steer Celery becomes a failure of its job.

The record decides when a job is attempted again, and sends its message. Celery's own way would send a second
message, which no record knows.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from celery.exceptions import Ignore, MaxRetriesExceededError, Reject, Retry
from celery.utils.time import maybe_make_aware

from askonce.attempt import current_attempt
from askonce.errors import CallFailed, Cancelled, Configuration, Postponed, Transient
from askonce.spec import LONGEST_REST, MOST_ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: How a job that its body ended is logged, and what its callers get.
IGNORED, REJECTED = "ignored", "rejected"


@dataclass(slots=True)
class Run:
    """One run of a task's body, and what the body wants to happen to its job."""

    task: Any
    #: Of the message that it answers: a body may call its own task directly, which is another run.
    request: Any
    #: The task whose message brought this run: a canvas's own for its items.
    brought_by: Any
    #: From 1.
    attempt: int
    wanted: Transient | None = None
    #: The body has no retry left, whatever it raises now.
    spent: bool = False

    def ask_again(self, cause: BaseException | None, when: object, max_retries: int | None) -> None:
        """Note that the body wants another attempt *when* Celery's word says, because of *cause*.

        Raises:
            BaseException: *cause*, or MaxRetriesExceededError: no retry is left.
            CallFailed: *cause* is an end that no retry changes, or the rest cannot be kept.
        """
        if cause is not None and (self.spent or is_final(cause)):
            raise cause
        if max_retries is not None and self.attempt > max_retries:
            self.spent = True
            raise cause or MaxRetriesExceededError(f"{self.task.name} has no retries left")
        self.wanted = self.failure(cause, when, MOST_ATTEMPTS if max_retries is None else max_retries + 1)

    def failure(self, cause: BaseException | None, when: object, max_attempts: int | None) -> Transient:
        """Return the failure for now by *cause*.

        Raises:
            Configuration: it rests longer than a job can rest.
        """
        rest = self._seconds_until(when)
        if rest is None or not rest <= LONGEST_REST:
            raise refused("retry", "eta" if isinstance(when, datetime) else "countdown")
        # The caller of an eager task waits in its own thread, and Celery does not let it wait for a rest.
        after = None if self.request.get("is_eager") else rest
        return _for_now(cause, retry_after=after, max_attempts=max_attempts)

    def _seconds_until(self, when: object) -> float | None:
        app = self.task.app
        if isinstance(when, datetime):
            return max(0.0, float((maybe_make_aware(when, app.timezone) - app.now()).total_seconds()))
        if isinstance(when, int | float) and not isinstance(when, bool):
            return float(when)
        return None


_current: ContextVar[Run | None] = ContextVar("askonce_run_of_a_body", default=None)


def current_run(task: Any) -> Run | None:
    """Return the run of *task*'s body that this code is part of; None outside of one."""
    run = _current.get()
    return run if run is not None and run.request is task.request_stack.top else None


def is_in_a_body_of(message_task: Any) -> bool:
    """Return whether this code is part of a body that a message of *message_task* brought."""
    run = _current.get()
    return run is not None and run.brought_by is message_task


def is_final(error: BaseException) -> bool:
    """Return whether no other attempt changes this failure, or no attempt was made."""
    return isinstance(error, CallFailed) and not isinstance(error, Transient)


def run_body(task: Any, payload: Mapping[str, object]) -> object:
    """Call the body of *task* with the fields of *payload*.

    Raises:
        CallFailed: it raised one, or steered its job by Retry, Ignore or Reject.
    """
    with _numbered(task, current_attempt().number):
        brought_by = task.app.current_worker_task
        run = Run(task, task.request_stack.top, brought_by, current_attempt().number)
        token = _current.set(run)
        try:
            value = task.run(**payload)
        except Ignore:
            raise Cancelled(IGNORED) from None
        except Reject as rejected:
            back: Any = rejected  # the stubs know no ``requeue``
            # An eager call has no message to put back, and its caller would wait.
            goes_back = back.requeue and not (run.request and run.request.is_eager)
            raise (Postponed if goes_back else Cancelled)(REJECTED) from None
        except Retry as again:
            raise run.wanted or _raised_by_hand(run, again) from again.exc
        except Exception as error:
            unwanted = tuple(getattr(task, "dont_autoretry_for", ()))
            if (run.spent or isinstance(error, unwanted)) and not is_final(error):
                raise _for_now(error, max_attempts=run.attempt) from error
            raise
        finally:
            _current.reset(token)
    if run.wanted is not None:  # the body passed throw=False, and did not raise
        raise run.wanted
    return value


@contextmanager
def _numbered(task: Any, attempt: int) -> Iterator[None]:
    """Let ``request.retries`` count the attempts of the job, and mark the request: its body runs."""
    request = task.request_stack.top
    if request is None:  # an inline call, for which no message came
        task.push_request(retries=attempt - 1)
        try:
            yield
        finally:
            task.pop_request()
        return
    delivered, request.retries, request.runs_body = request.retries, attempt - 1, True
    try:
        yield
    finally:
        request.retries, request.runs_body = delivered, False


def _raised_by_hand(run: Run, again: Retry) -> CallFailed:
    """Return what a Retry means that did not come from ``self.retry``: it names no number of retries."""
    try:
        return run.failure(again.exc, again.when or 0.0, None)
    except Configuration as too_long:
        return too_long


def refused(verb: str, option: str = "") -> Configuration:
    """Return the error of a body that steers its job where the record cannot follow."""
    return Configuration(f"{verb}_refused:{option}" if option else f"{verb}_refused")


def _for_now(cause: BaseException | None, **more: Any) -> Transient:
    """Return *cause* as a failure for now: its own word, the name of its class, or ``retry`` without one."""
    known = {name: value for name, value in more.items() if value is not None}
    if not isinstance(cause, CallFailed):
        # Celery replaces a cause that cannot be pickled.
        name = getattr(cause, "exc_cls_name", type(cause).__name__) if cause else "retry"
        return Transient(str(name), maybe_billed=True, **known)
    wish = cause.data.get("retry_after")
    if isinstance(wish, int | float) and "retry_after" in known:
        known["retry_after"] = max(wish, known["retry_after"])
    return Transient({**cause.data, **known})
