"""Sends single messages as their callers want them: with options of kombu, or of askonce beside Celery's."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, cast

from kombu.exceptions import OperationalError

from askonce.adapters.celery.bodies import PlainBody
from askonce.adapters.celery.header import NO_REPR, is_continuation, with_own_options
from askonce.adapters.celery.ways import require_known, sort
from askonce.errors import SendFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery

    from askonce.adapters.celery.sender import CelerySender
    from askonce.enqueue import Message
    from askonce.job import Job, Routing

#: Celery's tasks that call another one directly, once for each item of a list.
BY_ITEM = frozenset({"celery.map", "celery.starmap"})
#: Of ``send_task``: the call itself.
_CALL = frozenset({"args", "kwargs", "task_id"})
#: How the names of Celery's own tasks begin: chunks, map, chords.
BUILT_IN = "celery."


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

    def route(self, job: Job, row: Mapping[str, object] | None = None) -> Routing:
        """As the sender's."""
        return self._sender.route(job, row)

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

    @wraps(send_task)
    def carrying(name: str, *arguments: Any, **options: Any) -> Any:
        called = app._tasks.get(name)  # type: ignore[attr-defined]  # noqa: SLF001  # the public name would finalize
        ours = isinstance(called, PlainBody)
        if ours and "task_type" not in options and not is_continuation(options):
            sort({each: value for each, value in options.items() if each not in _CALL})
            # The task knows where its results are.
            options["result_cls"] = called.AsyncResult
        elif name in BY_ITEM:
            require_known({each: value for each, value in options.items() if each not in _CALL})
        hidden = NO_REPR if ours or name.startswith(BUILT_IN) else {}
        return send_task(name, *arguments, **{**hidden, **with_own_options(options)})

    app.send_task = carrying  # type: ignore[method-assign]  # Celery has no hook that may refuse an option
