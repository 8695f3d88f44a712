"""Decides what monitors see of a message and its end, and whether the message of a killed child is done."""

from __future__ import annotations

from typing import Any

from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined]  # not in the stubs
from celery.worker.request import Request
from celery.worker.state import task_ready
from kombu.utils.encoding import safe_repr

from askonce.adapters.celery.header import NO_REPR
from askonce.adapters.celery.kwargsrepr import received
from askonce.adapters.celery.paused_queues import Returned
from askonce.adapters.celery.states import Parked
from askonce.errors import JobFailed


class HiddenRequest(Request):
    """A message whose arguments are shown to no monitor and in no log."""

    def __init__(self, message: Any, *, headers: Any = None, **options: Any) -> None:
        """Replace what the sender wrote into the headers that Celery shows in place of the arguments.

        Without these headers, Celery would make them of the arguments.
        """
        given = message.headers if headers is None else headers
        super().__init__(message, headers={**given, **NO_REPR}, **options)
        self._kwargsrepr = self._request_dict["kwargsrepr"] = self._shown(given)  # type: ignore[attr-defined]  # not in the stubs

    def _shown(self, headers: Any) -> str:
        """Return what monitors show of the keyword arguments; *headers* are the sender's."""
        del headers
        return NO_REPR["kwargsrepr"]

    def on_retry(self, exc_info: Any) -> None:
        """Tell monitors why the job is tried again, and whether it is parked."""
        raised = _raised(exc_info)
        if raised.exc is not None:
            super().on_retry(exc_info)
            return
        # Celery would show None.
        if self.task.acks_late:
            self.acknowledge()
        self.send_event("task-retried", exception=str(raised), traceback=None)
        if isinstance(raised, Parked):
            self.send_event("task-parked", exception=str(raised))

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """Put the message of a paused queue back in front of it; any other end is Celery's."""
        raised = _raised(exc_info)
        if not isinstance(raised, Returned) or self.acknowledged:
            ended = super().on_failure(exc_info, *args, **options)
            if isinstance(raised, JobFailed) and raised.kind == "quarantined":
                self.send_event("task-quarantined", exception=safe_repr(raised))
            return ended
        task_ready(self)
        self.acknowledged = True
        self.send_event("task-rejected", requeue=True)
        self._app.askonce.paused_queues.give_back(self)  # type: ignore[attr-defined]  # not in the stubs
        return None

    def info(self, safe: bool = False) -> Any:  # noqa: FBT001, FBT002  # Celery's signature
        """Return what ``celery inspect`` shows: never the arguments."""
        del safe
        return super().info(safe=True)


def _raised(exc_info: Any) -> Any:
    """Return what the task raised; a child of the prefork pool wraps it."""
    raised = exc_info.exception
    return raised.exc if isinstance(raised, ExceptionWithTraceback) else raised


class PartRequest(HiddenRequest):
    """A message of an idempotent task, which may be a part of a canvas."""

    def _shown(self, headers: Any) -> str:
        """Return the key and the ids of its job."""
        args, kwargs, _ = self._payload  # type: ignore[attr-defined]  # not in the stubs
        return received(self._task, headers, args, kwargs)  # type: ignore[attr-defined]  # not in the stubs

    def _success_was_stored(self) -> Any:
        """Return Celery's result of this message, if it is of this message.

        The record may have sent the job again. The record knows no group and no link, and that copy stored
        its result under the same id. Celery would take it for the end of this message, and the chord would
        never be complete. Without a result the message is delivered again, answered from the record and
        counted.
        """
        stored = super()._success_was_stored()  # type: ignore[misc]  # not in the stubs
        context: Any = self._context  # type: ignore[attr-defined]  # not in the stubs
        if stored and (context.group or context.chord or context.callbacks or context.chain):
            return stored if context.group and stored.get("group_id") == context.group else False
        return stored
