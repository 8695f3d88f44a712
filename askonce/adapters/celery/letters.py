"""Keeps messages that no worker can use as dead letters on the store; Celery would log and drop them.

A message of ours whose task is unknown here is no dead letter: in a rolling deploy another worker may have
the task. Its job stays on its record, and the reaper sends it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from celery.bootsteps import Step
from celery.exceptions import InvalidTaskError
from celery.utils.time import maybe_iso8601, maybe_make_aware
from kombu.utils.json import dumps

from askonce.adapters.celery.header import HEADER
from askonce.adapters.celery.routing_key import routing_key_of
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
_NO_LINKS: dict[str, None] = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


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
    about_it = orjson.dumps(about)
    _keep(app, DeadMessage(reason=reason, task=task, job=job, queue=queue, about=about_it, body=body))


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
        self._wrap("on_unknown_message", "invalid_task", 1)
        self._wrap("on_unknown_task", "unknown_task", 1)
        self._wrap("on_invalid_task", "invalid_task", 1)
        parent.create_task_handler = self._guarded(parent.create_task_handler)
        # Read by our own transport, for items that are no message at all.
        conf = parent.app.conf
        conf.broker_transport_options = {**conf.broker_transport_options, "on_garbage": self.keep_garbage}

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

    def _wrap(self, name: str, reason: str, position: int) -> None:
        drop: Callable[..., object] = getattr(self._consumer, name)

        def keep_and_drop(*args: Any) -> object:
            message = args[position]
            if reason == "unknown_task" and HEADER in _headers(message).get("headers", message.headers):
                self._report_unknown_task(message)
                return drop(*args)
            try:
                _keep(self._consumer.app, _to_dead_message(reason, message))
            except StoreUnavailable as exc:
                self._report_unkept(exc)
                self._consumer.timer.call_after(UNKEPT_REST, message.requeue)
                return None
            return drop(*args)

        setattr(self._consumer, name, keep_and_drop)

    def _guarded(self, create: Callable[..., Any]) -> Callable[..., Any]:
        """Check the shape of each message first: an unexpected one would end the worker."""

        def create_task_handler(*args: Any, **options: Any) -> Callable[[Any], object]:
            handle = create(*args, **options)

            def on_task_received(message: Any) -> object:
                try:
                    shaped = _is_shaped(message, self._consumer.app.conf.timezone)
                except Exception as exc:  # noqa: BLE001  # codecs raise what they like
                    return self._consumer.on_decode_error(message, exc)
                if not shaped:
                    odd = InvalidTaskError("the message has not the shape of a task")
                    return self._consumer.on_invalid_task(None, message, odd)
                return handle(message)

            return on_task_received

        return create_task_handler

    def _report_unknown_task(self, message: Any) -> None:
        headers = _headers(message)
        task, job = (str(headers.get(name, ""))[:_NAME_KEPT] for name in ("task", "id"))
        about = Subject(task=task, id=job)
        emit(self._consumer.app.askonce.listen, EventType.MESSAGE_UNKNOWN_TASK, about)

    def _report_unkept(self, exc: StoreUnavailable) -> None:
        emit(self._consumer.app.askonce.listen, EventType.MESSAGE_UNKEPT, reason=exc.reason)


def _headers(message: Any) -> dict[str, Any]:
    return message.headers if isinstance(message.headers, dict) else {}


def _is_shaped(message: Any, timezone: Any) -> bool:
    """Return whether a message that names its task has the shape of one; Celery judges the others."""
    headers = _headers(message)
    body = message.payload  # kept by kombu: Celery reads it again
    if "task" not in headers:
        # Celery's first protocol has everything in the body.
        return not isinstance(body, dict) or "task" not in body or _is_described(body, timezone)
    if not _is_described(headers, timezone):
        return False
    if isinstance(body, dict):
        return "args" in body and _is_described(body, timezone)
    return (
        isinstance(body, (list, tuple))
        and list(map(type, body[:2])) in ([list, dict], [tuple, dict])
        and len(body) == len(("args", "kwargs", "embed"))
        and isinstance(body[2], (dict, type(None)))
    )


def _is_described(headers: dict[str, Any], timezone: Any) -> bool:
    """Return whether Celery can read the headers that it reads outside of the task."""
    limits, stamped, stamps = map(headers.get, ("timelimit", "stamped_headers", "stamps"))
    return (
        isinstance(headers.get("task"), str)
        and isinstance(headers.get("id"), str)
        and all(_is_moment(headers.get(name), timezone) for name in ("eta", "expires"))
        and (not limits or (isinstance(limits, (list, tuple)) and list(map(_is_limit, limits)) == [True] * 2))
        and (not stamped or (isinstance(stamped, (list, tuple)) and all(isinstance(s, str) for s in stamped)))
        and (not stamps or isinstance(stamps, dict))
    )


def _is_moment(moment: Any, timezone: Any) -> bool:
    if moment is None:
        return True
    try:
        read = maybe_iso8601(moment)
        if read is not None:
            maybe_make_aware(read, timezone)
    except Exception:  # noqa: BLE001  # as Celery reads it: whatever it raises
        return False
    return read is not None


def _is_limit(seconds: object) -> bool:
    return seconds is None or (isinstance(seconds, (int, float)) and not isinstance(seconds, bool))


def _to_dead_message(reason: str, message: Any) -> DeadMessage:
    headers = _headers(message)
    body = (
        message.body if isinstance(message.body, bytes) else str(message.body or "").encode(errors="replace")
    )
    about = {
        "headers": headers,
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
    }
    described = dumps(about).encode(errors="replace")
    return DeadMessage(
        reason=reason,
        task=str(headers.get("task", ""))[:_NAME_KEPT],
        job=str(headers.get("id", ""))[:_NAME_KEPT],
        queue=routing_key_of(message.delivery_info),
        about=described if len(described) <= BODY_KEPT else b"{}",
        body=body,
    )
