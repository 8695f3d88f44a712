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
from celery.exceptions import QueueNotFound
from celery.utils.nodenames import anon_nodename
from kombu.exceptions import LimitExceeded, OperationalError
from kombu.pools import ProducerPool

from askonce.adapters.celery.patience import bounded_unless_set
from askonce.errors import OptionInvalid, SendFailed
from askonce.job import Routing
from askonce.options import RESERVED_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from askonce.enqueue import Message

#: The message header that carries a job's identity; the worker computes it again and compares.
HEADER = RESERVED_HEADER
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
        self._app = app
        self._origin = anon_nodename()
        self._options: dict[tuple[str, str, int | None], dict[str, Any]] = {}
        self._pool: ProducerPool | None = None
        self._pid = os.getpid()

    @cached_property
    def more_urgent(self) -> Literal["<", ">"]:
        """``<``: kombu's Redis transport delivers the lowest number first; AMQP the highest."""
        transport: Any = self._app.connection_for_write().transport
        return "<" if transport.driver_type == "redis" else ">"

    def route(self, task: str, chosen: Routing) -> Routing:
        """Return where the messages of *task* go, with what a caller has *chosen*.

        Raises:
            OptionInvalid: there is no such queue.
        """
        try:
            route: Routing = self._options_of(task, chosen)["route"]
        except QueueNotFound:
            raise OptionInvalid(option="queue", reason="is none of the app's queues") from None
        return route if chosen.is_plain else chosen._replace(queue=route.queue, priority=route.priority)

    def send(self, message: Message, *, delivery: str | None = None) -> None:
        """Publish *message*. Its Celery id is the job's id, or *delivery* if workers refuse that one.

        Raises:
            SendFailed: the broker did not accept it, or its reply was lost.
        """
        try:
            with self._producer() as producer:
                self.publish(producer, message, delivery=delivery)
        except OperationalError as exc:
            raise SendFailed(key=message.job.key, job=message.job.id) from exc

    @contextmanager
    def _producer(self) -> Iterator[Any]:
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
            # Monitors show and search this: never the payload.
            "kwargsrepr": f"{{'key': '{job.key[:16]}'}}",
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
            extra[HEADER] = _identity(message, delivery)
        if extra:
            headers["headers"] = extra
        return headers

    def _options_of(self, name: str, routing: Routing) -> dict[str, Any]:
        which = name, routing.queue, routing.priority
        known = self._options.get(which)
        if known is not None:
            return known
        task: Any = self._app.tasks.get(name)
        own = {k: v for k, v in task._get_exec_options().items() if v is not None} if task else {}  # noqa: SLF001  # as send_task
        timelimit = [own.pop("time_limit", None), own.pop("soft_time_limit", None)]
        ignore_result = task.ignore_result if task else self._app.conf.task_ignore_result
        own.pop("expires", None)
        if routing.queue:
            own["queue"] = routing.queue
        if routing.priority is not None:
            own["priority"] = routing.priority
        amqp: Any = self._app.amqp
        publish = amqp.router.route(own, name, (), {}, task)
        options = {
            "timelimit": timelimit,
            "ignore_result": ignore_result,
            "publish": publish,
            "route": Routing(_queue_of(publish), publish.get("priority", routing.priority)),
        }
        if len(self._options) >= _ROUTES_KEPT:
            self._options.clear()
        self._options[which] = options
        return options


def _identity(message: Message, delivery: str) -> dict[str, Any]:
    """Return the header by which a worker knows a job of ours."""
    job = message.job
    identity: dict[str, Any] = {
        "key": job.key,
        "fingerprint": job.fingerprint,
        "version": job.version,
        "tenant": job.tenant,
        "run": job.run,
        "admitted_at": job.admitted_at,
        "sent_at": message.sent_at,
    }
    if delivery != job.id:
        identity["job"] = job.id
    return identity


def _limits(routing: Routing, own: list[float | None]) -> list[float | None]:
    chosen = routing.time_limit, routing.soft_time_limit
    return [limit if limit is not None else default for limit, default in zip(chosen, own, strict=True)]


def _queue_of(publish: dict[str, Any]) -> str:
    queue = publish.get("queue")
    return str(getattr(queue, "name", queue) or publish.get("routing_key") or "")


def _close(connections: Any, pid: int) -> None:
    """Close *connections* at the end of their app, or of the process *pid*; not in its forked children."""
    if pid == os.getpid():
        connections.force_close_all()
