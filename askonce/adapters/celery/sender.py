"""Sends jobs as Celery messages (protocol 2), built from the canonical payload without decoding it.

``Task.apply_async`` spends most of its time on what a job does not need: representations of the arguments
for monitors, which would also show customers' data, and merging of options that are the same for every
message of a task. Publishing itself, with its signals and its retries, stays Celery's. Its connections are
the sender's own, so that each wait for a broker on Redis ends.
"""

from __future__ import annotations

import os
import weakref
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import orjson
from celery.app.amqp import task_message
from celery.app.routes import Router
from celery.exceptions import QueueNotFound
from celery.utils.nodenames import anon_nodename
from kombu.exceptions import KombuError, LimitExceeded, OperationalError
from kombu.pools import ProducerPool

from askonce.adapters.celery.header import HEADER, identity, of_one_request
from askonce.adapters.celery.kwargsrepr import kwargsrepr_of
from askonce.adapters.celery.patience import bounded_unless_set
from askonce.adapters.celery.routes import Routes, queue_of
from askonce.adapters.celery.values import require_own_names
from askonce.errors import OptionInvalid, PayloadInvalid, SendFailed
from askonce.job import Routing
from askonce.message import send_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from celery import Celery

    from askonce.job import Job
    from askonce.message import Message
    from askonce.options import Options

#: The name that kombu gives to values without a form in JSON.
_TYPED = b'"__type__"'
#: Kept routes: a task has one for each queue and priority that callers choose, and names come from callers.
_ROUTES_KEPT = 1000
#: Payload fields become keyword arguments; nothing is linked to the message.
BODY = b'[[],%b,{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]'

#: Seconds for each wait for a broker on Redis, where the app sets no time. Celery's own retries of a publish
#: make that four times as long.
_REPLY = 2.0


class CelerySender:
    """The way to the workers of one Celery app."""

    def __init__(self, app: Celery) -> None:
        """Publish on *app*'s broker, to the queues that its routes name."""
        self._app, self.routes = app, Routes(app)
        self._origin = anon_nodename()
        self._options: dict[tuple[str, str, int | None], dict[str, Any]] = {}
        self._pool: ProducerPool | None = None
        self._pid = os.getpid()

    @cached_property
    def more_urgent(self) -> Literal["<", ">"]:
        """``<``: kombu's Redis transport delivers the lowest number first; AMQP the highest."""
        transport: Any = self._app.connection_for_write().transport
        return "<" if transport.driver_type == "redis" else ">"

    def route(
        self, job: Job, row: Mapping[str, object] | None = None, options: Options | None = None
    ) -> Routing:
        """Return where the messages of *job* go: its own routing is what its caller has chosen.

        A route that is a function gets *row*, the payload as its caller gave it, and that caller's *options*.

        Raises:
            OptionInvalid: there is no such queue, or Celery would take a header for its own.
            PayloadInvalid: no message can carry the payload.
        """
        require_sendable(job)
        chosen = job.routing
        if options and chosen.headers:
            require_own_names(orjson.loads(chosen.headers))
        try:
            if self.routes.are_functions:
                chosen = self.routes.of_job(job, row, options)
            route: Routing = self._options_of(job.task, chosen)["route"]
        except QueueNotFound:
            raise OptionInvalid(option="queue", reason="is none of the app's queues") from None
        return route if chosen.is_plain else chosen._replace(queue=route.queue, priority=route.priority)

    def send(self, message: Message, *, delivery: str | None = None) -> None:
        """Publish *message*. Its Celery id is the job's id, or *delivery* if workers refuse that one.

        An app whose tasks are always eager runs it here instead.

        Raises:
            SendFailed: the broker did not accept it, or its reply was lost.
        """
        if self._app.conf.task_always_eager:
            self._run_here(message)
            return
        try:
            with self.producer() as producer:
                self.publish(producer, message, delivery=delivery)
        except OperationalError as exc:
            raise SendFailed(key=message.job.key, job=message.job.id) from exc

    def send_many(self, messages: Sequence[Message]) -> list[SendFailed | None]:
        """Publish each of *messages*; return an error in the place of one that the broker did not accept.

        After an error the others are not tried: each would wait for the same broker.
        """
        if self._app.conf.task_always_eager or not self._publish_together(messages):
            return send_each(self.send, messages)
        return [None] * len(messages)

    def _publish_together(self, messages: Sequence[Message]) -> bool:
        """Publish *messages* in one write where the transport can; return whether the broker accepted all.

        Of others some may be out. Sent once more, each is a copy, which costs no call.
        """
        try:
            with self.producer() as producer:
                if not producer.supports_batch_publish:
                    return False
                with producer.batch():
                    for message in messages:
                        self.publish(producer, message)
        except (KombuError, RuntimeError):  # the latter from a batch whose connection was replaced
            return False
        return True

    def _run_here(self, message: Message) -> None:
        job = message.job
        headers = orjson.loads(job.routing.headers) if job.routing.headers else {}
        if message.admitted:
            headers[HEADER] = identity(message, job.id)
        task: Any = self._app.tasks[job.task]
        task.apply((), orjson.loads(job.payload), task_id=job.id, headers=headers)

    @contextmanager
    def producer(self) -> Iterator[Any]:
        """Lend one of Celery's producers.

        Raises:
            kombu.exceptions.OperationalError: all connections are in use.
        """
        if self._pool is None or self._pid != os.getpid():
            # A forked child must not use its parent's sockets, nor a lock that a thread of its parent held.
            self._pool, self._pid = self._new_pool(), os.getpid()
        try:
            producer: Any = self._pool.acquire(block=True, timeout=self._app.conf.broker_pool_acquire_timeout)
        except LimitExceeded as exc:
            raise OperationalError("all connections are in use") from exc
        try:
            yield producer
        finally:
            producer.release()

    def _new_pool(self) -> ProducerPool:
        limit = self._app.conf.broker_pool_limit
        connection: Any = self._app.connection_for_write(
            transport_options=bounded_unless_set(self._app, _REPLY)
        )
        connections = connection.Pool(limit)
        weakref.finalize(self._app, _close, connections, os.getpid())
        return ProducerPool(connections, limit=limit, Producer=cast("Any", self._app.amqp).Producer)

    def publish(
        self,
        producer: Any,
        message: Message,
        *,
        delivery: str | None = None,
        **options: Any,
    ) -> None:
        """Publish *message* with one of Celery's producers; *options* win over those of its task.

        Raises:
            kombu.exceptions.OperationalError: the broker did not accept it, or its reply was lost.
        """
        amqp: Any = self._app.amqp
        job = message.job
        known = self._options_of(job.task, job.routing)
        wire = task_message(
            headers=self._headers(message, known, delivery or job.id),
            properties={
                "correlation_id": delivery or job.id,
                "reply_to": "",
                "content_type": "application/json",
                "content_encoding": "utf-8",
            },
            body=cast("Any", (BODY % job.payload).decode()),
            sent_event=None,
        )
        connection: Any = producer.connection
        try:
            with connection._reraise_as_library_errors():  # noqa: SLF001  # as Celery's own send_task
                amqp.send_task_message(producer, job.task, wire, **{**known["publish"], **options})
        except (*connection.connection_errors, *connection.channel_errors) as exc:
            # Celery does not retry these, such as a user without the right to send.
            raise OperationalError(type(exc).__name__) from exc

    def queue_of(self, task: str) -> str | None:
        """Return the queue of *task*'s messages; None where an exchange chooses it."""
        queue: Any = self._options_of(task, Routing())["publish"].get("queue")
        return queue and str(getattr(queue, "name", queue))

    def _headers(self, message: Message, options: dict[str, Any], delivery: str) -> dict[str, Any]:
        parent, job = self._app.current_worker_task, message.job
        headers: dict[str, Any] = {
            "lang": "py",
            "task": job.task,
            "id": delivery,
            "shadow": None,
            "eta": None,
            "expires": None,
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": _limits(job.routing, options["timelimit"]),
            "root_id": parent.request.root_id or parent.request.id if parent else delivery,
            "parent_id": parent.request.id if parent else None,
            "argsrepr": "()",
            "kwargsrepr": kwargsrepr_of(job),
            "origin": self._origin,
            "ignore_result": options["ignore_result"],
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
        }
        # Under this name Celery takes them as they are; among the others it would search for them in each
        # message.
        extra = orjson.loads(job.routing.headers) if job.routing.headers else {}
        if message.admitted:
            extra[HEADER] = identity(message, delivery)
        elif message.drawn:
            extra[HEADER] = of_one_request()
        if extra:
            headers["headers"] = extra
        return headers

    def _options_of(self, name: str, routing: Routing) -> dict[str, Any]:
        which = name, routing.queue, routing.priority
        known = self._options.get(which)
        if known is not None:
            return known
        task: Any = self._app.tasks.get(name)
        own = self._own_options(name, routing)
        amqp: Any = self._app.amqp
        # Routes by payload have chosen the queue already.
        route = (
            amqp.router.route if not self.routes.are_functions or not routing.queue else _expand(amqp.router)
        )
        publish = route(own, name, (), {}, task)
        options = {
            "timelimit": [task.time_limit, task.soft_time_limit] if task else [None, None],
            "ignore_result": task.ignore_result if task else self._app.conf.task_ignore_result,
            "publish": publish,
            "route": Routing(queue_of(publish), publish.get("priority", routing.priority)),
        }
        if len(self._options) >= _ROUTES_KEPT:
            self._options.clear()
        self._options[which] = options
        return options

    def _own_options(self, name: str, routing: Routing) -> dict[str, Any]:
        """Return the publish options of the task *name*, with the queue and priority that are known."""
        task: Any = self._app.tasks.get(name)
        own = {k: v for k, v in task._get_exec_options().items() if v is not None} if task else {}  # noqa: SLF001  # as send_task
        for of_a_message in ("time_limit", "soft_time_limit", "expires"):
            own.pop(of_a_message, None)
        if routing.queue:
            own["queue"] = routing.queue
        if routing.priority is not None:
            own["priority"] = routing.priority
        return own


def _expand(router: Any) -> Callable[..., dict[str, Any]]:
    """Return a router that knows the queues of *router*, and none of its routes."""
    return Router((), router.queues, router.create_missing, router.app).route


def require_sendable(job: Job) -> None:
    """Refuse a payload that a worker would not get as it is.

    Raises:
        PayloadInvalid: names the field.
    """
    if _TYPED in job.payload:
        _require_untyped(orjson.loads(job.payload))


def _require_untyped(value: object, path: str = "") -> None:
    """Refuse an object that kombu would read as a value of another type."""
    if isinstance(value, dict):
        if value.keys() == {"__type__", "__value__"}:
            raise PayloadInvalid(
                field=path, reason="an object of exactly __type__ and __value__ has a meaning in messages"
            )
        for name, part in value.items():
            _require_untyped(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            _require_untyped(part, f"{path}[{place}]")


def _limits(routing: Routing, own: list[float | None]) -> list[float | None]:
    chosen = routing.time_limit, routing.soft_time_limit
    return [limit if limit is not None else default for limit, default in zip(chosen, own, strict=True)]


def _close(connections: Any, pid: int) -> None:
    """Close *connections* at the end of their app, or of the process *pid*; not in its forked children."""
    if pid == os.getpid():
        connections.force_close_all()
