"""Keeps messages that no worker can use as dead letters on the store; Celery would log and drop them.

A message of ours whose task is unknown here is no dead letter: in a rolling deploy another worker may have
the task. Its job stays on its record, and the reaper sends it again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery.bootsteps import Step
from celery.exceptions import BackendError, InvalidTaskError
from celery.worker.consumer import Consumer
from celery.worker.state import task_ready
from kombu.exceptions import OperationalError
from kombu.utils.json import dumps

from askonce.adapters.celery.header import HEADER, is_identity
from askonce.adapters.celery.raised_outside import catch
from askonce.adapters.celery.routing_key import routing_key_of
from askonce.adapters.celery.shape import INVALID_TASK, fault_of
from askonce.adapters.kombu.compression import bound_decoders
from askonce.errors import StoreUnavailable
from askonce.events import EventType, Subject, emit
from askonce.letters import BODY_KEPT, DeadMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

#: Seconds after which a message that could not be kept goes back to its queue.
UNKEPT_REST = 5.0
#: Characters of a message's task and id that are kept and logged.
_NAME_KEPT = 200
#: What a value of an unexpected type raises.
_UNEXPECTED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
_NO_LINKS: dict[str, None] = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


class _NoBodies(logging.Filter):
    """Keeps the bodies of unusable messages out of the log: Celery writes them there in full."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the kind of the refusal, and drop the message's body."""
        text = str(record.msg)
        if "body" in text:
            record.msg, record.args = f"refused: {text.splitlines()[0].split('%')[0]}", ()
            record.exc_info = record.exc_text = None
        return True


_NO_BODIES = _NoBodies()


def keep_letter(
    app: Celery, reason: str, *, task: str, job: str, arguments: tuple[Any, Any], header: object = None
) -> None:
    """Keep the message of a task that refuses it. It can be sent again, without the identity of its job.

    *header* is what its caller chose: sent again without it, the message would be another tenant's.

    Raises:
        StoreUnavailable: it is not kept; the message must come back.
    """
    args, kwargs = arguments
    about = {
        "headers": {"lang": "py", "task": task, "id": job, "argsrepr": "()", "kwargsrepr": "{}"}
        | ({} if header is None else {HEADER: header}),
        "content_type": "application/json",
        "content_encoding": "utf-8",
    }
    body = dumps([args, kwargs, _NO_LINKS]).encode(errors="surrogatepass")
    queue = app.conf.task_default_queue
    _keep(app, DeadMessage(reason=reason, task=task, job=job, queue=queue, about=_written(about), body=body))


def _keep(app: Any, message: DeadMessage) -> None:
    app.askonce.process().store.letters.keep(message)
    emit(
        app.askonce.listen,
        EventType[f"MESSAGE_{message.reason.upper()}"],
        Subject(task=message.task, id=message.job),
        size=message.size or len(message.body),
        queue=message.queue,
    )


class LettersStep(Step):
    """Hooks the four places where Celery's consumer drops a message, and stores a copy first."""

    def __init__(self, parent: Any, **_: Any) -> None:
        """Wrap what *parent* does with messages that no task can use, whatever its class."""
        self._consumer = parent
        self._wrap("on_decode_error", "undecodable", 0)
        self._wrap("on_unknown_message", INVALID_TASK, 1)
        self._wrap("on_unknown_task", "unknown_task", 1)
        self._drop_invalid = parent.on_invalid_task
        self._wrap("on_invalid_task", INVALID_TASK, 1)
        parent.create_task_handler = self._guarded(parent.create_task_handler)
        catch(parent, self._end)
        parent.connect = self._hooked(parent.connect)
        bound_decoders()
        logging.getLogger(Consumer.__module__).addFilter(_NO_BODIES)

    def keep_garbage(self, queue: str, item: bytes) -> None:
        """Keep an item of *queue* that is no message.

        Raises:
            StoreUnavailable: it must go back.
        """
        try:
            _keep(self._consumer.app, DeadMessage(reason="garbage", queue=queue, body=item))
        except StoreUnavailable as exc:
            self._report_unkept(exc)
            raise

    def _hooked(self, connect: Callable[[], Any]) -> Callable[[], Any]:
        """Let our own transport keep items that are no message; a monitor sees no attribute of it."""

        def connect_and_hook() -> Any:
            connection = connect()
            connection.transport.on_garbage = self.keep_garbage
            return connection

        return connect_and_hook

    def _wrap(self, name: str, reason: str, position: int) -> None:
        drop: Callable[..., object] = getattr(self._consumer, name)

        def keep_and_drop(*args: Any) -> None:
            self._keep_and_drop(reason, args[position], lambda: drop(*args))

        setattr(self._consumer, name, keep_and_drop)

    def _keep_and_drop(
        self,
        reason: str,
        message: Any,
        drop: Callable[[], object],
        put_back: Callable[[], object] | None = None,
    ) -> None:
        if reason == "unknown_task" and is_identity(_own_header(message)):
            self._report_unknown_task(message)
        else:
            try:
                _keep(self._consumer.app, _to_dead_message(reason, message))
            except StoreUnavailable as exc:
                self._report_unkept(exc)
                self._later(put_back or message.requeue)
                return
        try:
            drop()
        except Exception:  # noqa: BLE001  # it is kept; what else Celery does may fail on what stands in it
            if not message.acknowledged:
                message.reject()

    def _later(self, put_back: Callable[[], object]) -> None:
        self._consumer.timer.call_after(UNKEPT_REST, put_back)

    def _guarded(self, create: Callable[..., Any]) -> Callable[..., Any]:
        """Check each message first: an unexpected one would end the worker."""

        def create_task_handler(*args: Any, **options: Any) -> Callable[[Any], object]:
            handle = create(*args, **options)

            def on_task_received(message: Any) -> None:
                try:
                    fault = fault_of(message, self._consumer.app)
                except Exception as exc:  # noqa: BLE001  # codecs raise what they like
                    self._consumer.on_decode_error(message, exc)
                    return
                if fault is not None:
                    self._refuse(fault, message)
                    return
                try:
                    handle(message)
                except Exception as exc:  # noqa: BLE001  # whatever it is, it is about this message
                    self._give_up(message, exc)

            return on_task_received

        return create_task_handler

    def _give_up(self, message: Any, exc: Exception) -> None:
        """End a *message* that Celery's consumer could not take, where no server is the reason."""
        if not self._is_outage(exc):
            self._refuse(INVALID_TASK, message)
        elif isinstance(exc, self._consumer.connection_errors):
            # Celery connects again, and gets the message again.
            raise exc
        else:
            self._later(message.requeue)

    def _end(self, request: Any, exc: Exception) -> None:
        """End the message of a *request* that raised outside of its task's body, by Celery's own code.

        Its links, the result backend, an answer that Celery cannot handle: without an end the message would
        stay in this worker, and take the place of another.
        """
        task_ready(request)

        def put_back() -> None:
            request.reject(requeue=True)

        if isinstance(exc, MemoryError):
            # What Celery raises for a body that did. The failure is stored, and may be retried.
            request.acknowledge()
        elif self._is_outage(exc):
            self._later(put_back)
        else:
            self._keep_and_drop(INVALID_TASK, request.message, request.reject, put_back)

    def _is_outage(self, exc: Exception) -> bool:
        """Return whether *exc* is about a server: then the message is not at fault."""
        of_backend = getattr(self._consumer.app.backend, "connection_errors", ())
        of_servers = OSError, OperationalError, BackendError, *self._consumer.connection_errors, *of_backend
        # kombu takes a KeyError of the message for a lost connection, and so for its own error.
        own = isinstance(exc, _UNEXPECTED) or isinstance(exc.__cause__, _UNEXPECTED)
        return isinstance(exc, of_servers) and not own

    def _refuse(self, reason: str, message: Any) -> None:
        why = InvalidTaskError(reason)
        self._keep_and_drop(reason, message, lambda: self._drop_invalid(None, message, why))

    def _report_unknown_task(self, message: Any) -> None:
        task, job = _names(_headers(message))
        about = Subject(task=task, id=job)
        emit(self._consumer.app.askonce.listen, EventType.MESSAGE_UNKNOWN_TASK, about)

    def _report_unkept(self, exc: StoreUnavailable) -> None:
        emit(self._consumer.app.askonce.listen, EventType.MESSAGE_UNKEPT, reason=exc.reason)


def _headers(message: Any) -> dict[str, Any]:
    return message.headers if isinstance(message.headers, dict) else {}


def _own_header(message: Any) -> object:
    headers = _headers(message)
    return (headers.get("headers") or headers).get(HEADER)


def _to_dead_message(reason: str, message: Any) -> DeadMessage:
    headers = _headers(message)
    body = (
        message.body if isinstance(message.body, bytes) else str(message.body or "").encode(errors="replace")
    )
    if not message.errors:
        # kombu has inflated the body.
        headers = {name: value for name, value in headers.items() if name != "compression"}
    about = {
        "headers": headers,
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
    }
    task, job = _names(headers)
    return DeadMessage(
        reason=reason,
        task=task,
        job=job,
        queue=routing_key_of(message.delivery_info),
        about=_written(about),
        body=body,
    )


def _written(about: dict[str, Any]) -> bytes:
    """Return *about* as JSON; that of an empty object where there is none, or it is too long."""
    try:
        written = dumps(about).encode(errors="replace")
    except Exception:  # noqa: BLE001  # names that are no text, too many levels
        return b"{}"
    return written if len(written) <= BODY_KEPT else b"{}"


def _names(headers: dict[str, Any]) -> list[str]:
    """Return the task and the id of a message, as they are kept and logged; empty where they are no text."""
    named = headers.get("task"), headers.get("id")
    return [name[:_NAME_KEPT] if isinstance(name, str) else "" for name in named]
