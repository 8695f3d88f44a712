"""Sends single messages as their callers want them: with options of kombu, or of askonce beside Celery's."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, cast

from celery.exceptions import QueueNotFound
from kombu.exceptions import OperationalError

from askonce.adapters.celery.bodies import PlainBody
from askonce.adapters.celery.header import HEADER, NO_REPR, with_own_options
from askonce.adapters.celery.shape import BUILT_IN
from askonce.adapters.celery.ways import require_own_message, require_usable
from askonce.errors import OptionInvalid, SendFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery import Celery

    from askonce.adapters.celery.sender import CelerySender
    from askonce.job import Job, Routing
    from askonce.message import Message
    from askonce.options import Options

#: Celery's tasks that call another one directly, once for each item of a list.
BY_ITEM = frozenset({"celery.map", "celery.starmap"})
#: Of ``send_task``: the call itself.
_CALL = frozenset({"args", "kwargs", "task_id"})


class OneMessage:
    """The way to the workers for a caller who brings a producer, a connection or options of ``publish``."""

    def __init__(self, app: Celery, sender: CelerySender, published: Mapping[str, Any]) -> None:
        """Send by *sender*, on *app*'s broker or the caller's own connection."""
        options = dict(published)
        self._app, self._sender = app, sender
        self._connection = options.pop("connection", None)
        publisher = options.pop("publisher", None)
        self._producer, self._options = options.pop("producer", None) or publisher, options

    @property
    def more_urgent(self) -> Literal["<", ">"]:
        """As the sender's."""
        return self._sender.more_urgent

    def route(
        self, job: Job, row: Mapping[str, object] | None = None, options: Options | None = None
    ) -> Routing:
        """As the sender's."""
        return self._sender.route(job, row, options)

    def send(self, message: Message) -> None:
        """Publish *message*.

        Raises:
            SendFailed: the broker did not accept it, or its reply was lost.
        """
        if self._app.conf.task_always_eager:
            self._sender.send(message)
            return
        producer, app = self._producer, cast("Any", self._app)
        if self._connection is not None:
            producer = app.amqp.Producer(self._connection, auto_declare=False)
        try:
            with app.producer_or_acquire(producer) as opened:
                self._sender.publish(opened, message, **self._options)
        except OperationalError as exc:
            raise SendFailed(key=message.job.key, job=message.job.id) from exc


def carry_own_options(app: Celery) -> None:
    """Let ``send_task`` put askonce's own options into the message's header: kombu would drop them."""
    send_task: Any = app.send_task
    signature = inspect.signature(send_task)

    @wraps(send_task)
    def carrying(name: str, *arguments: Any, **options: Any) -> Any:
        if arguments:
            options = _by_name(signature.bind(name, *arguments).arguments, options)
        called = app._tasks.get(name)  # type: ignore[attr-defined]  # noqa: SLF001  # the public name would finalize
        if isinstance(called, PlainBody):
            return _send_ours(send_task, called, options)
        if name in BY_ITEM:
            require_usable(_without_call(options))
        hidden = NO_REPR if name.startswith(BUILT_IN) else {}
        return send_task(name, **{**hidden, **with_own_options(options)})

    app.send_task = carrying  # type: ignore[method-assign]  # Celery has no hook that may refuse an option


def _by_name(named: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return *options* with the arguments that were passed by their places."""
    if twice := named.keys() & options.keys():
        raise TypeError(f"send_task got {min(twice)} twice")
    return {**{each: value for each, value in named.items() if each != "name"}, **options}


def _send_ours(send_task: Callable[..., Any], task: Any, options: dict[str, Any]) -> Any:
    if "task_type" not in options:
        require_own_message(options.get("task_id"), _without_ours(_without_call(options)))
        # The task knows where its results are.
        options["result_cls"] = task.AsyncResult
    routes = task.askonce.sender.routes
    if options.get("router") is None and routes.are_functions:
        options["router"] = routes.of_message(task, options)
    try:
        return send_task(task.name, **{**NO_REPR, **with_own_options(options)})
    except QueueNotFound:
        raise OptionInvalid(option="queue", reason="is none of the app's queues") from None


def _without_call(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in _CALL}


def _without_ours(options: dict[str, Any]) -> dict[str, Any]:
    """Return *options* without our header: the worker judges one that is written as a foreign app does."""
    headers = options.get("headers")
    if not isinstance(headers, dict) or HEADER not in headers:
        return options
    return {**options, "headers": {name: value for name, value in headers.items() if name != HEADER}}
