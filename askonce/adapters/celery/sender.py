"""Sends jobs as Celery messages (protocol 2), built from the canonical payload without decoding it.

``Task.apply_async`` spends most of its time on what a job does not need: representations of the arguments
for monitors, which would also show customers' data, and merging of options that are the same for every
message of a task. Publishing itself, with its signals and its retries, stays Celery's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from celery.app.amqp import task_message
from celery.utils.nodenames import anon_nodename
from kombu.exceptions import OperationalError

from askonce.errors import SendFailed

if TYPE_CHECKING:
    from celery import Celery

    from askonce.enqueue import Message

#: The message header that carries a job's identity; the worker computes it again and compares.
HEADER = "askonce"
#: Payload fields become keyword arguments; nothing is linked to the message.
BODY = b'[[],%b,{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]'
#: Tasks whose options are kept: the reaper sends the jobs of records, and any producer names their tasks.
_OPTIONS_KEPT = 1000


class CelerySender:
    """The way to the workers of one Celery app."""

    def __init__(self, app: Celery) -> None:
        """Publish on *app*'s broker, to the queues that its routes name."""
        self._app = app
        self._origin = anon_nodename()
        self._options: dict[str, dict[str, Any]] = {}

    def send(self, message: Message, *, countdown: float | None = None, delivery: str | None = None) -> None:
        """Publish *message*; with *countdown* it is held for that many seconds.

        Its Celery id is the job's id, or *delivery* if workers refuse that one.

        Raises:
            SendFailed: the broker did not accept it, or its reply was lost.
        """
        try:
            with self._app.producer_or_acquire() as producer:
                self.publish(producer, message, countdown=countdown, delivery=delivery)
        except OperationalError as exc:
            raise SendFailed(key=message.job.key, job=message.job.id) from exc

    def publish(
        self,
        producer: Any,
        message: Message,
        *,
        countdown: float | None = None,
        delivery: str | None = None,
    ) -> None:
        """Publish *message* with one of Celery's producers.

        Raises:
            kombu.exceptions.OperationalError: the broker did not accept it, or its reply was lost.
        """
        amqp: Any = self._app.amqp
        job = message.job
        options = self._options.get(job.task) or self._options_of(job.task)
        wire = task_message(
            headers=self._headers(message, options, countdown, delivery or job.id),
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
                amqp.send_task_message(producer, job.task, wire, **options["publish"])
        except (*connection.connection_errors, *connection.channel_errors) as exc:
            # Celery does not retry these, such as a user without the right to send.
            raise OperationalError(type(exc).__name__) from exc

    def queue_of(self, task: str) -> str | None:
        """Return the queue of *task*'s messages; None where an exchange chooses it."""
        options = self._options.get(task) or self._options_of(task)
        queue: Any = options["publish"].get("queue")
        return queue and str(getattr(queue, "name", queue))

    def _headers(
        self, message: Message, options: dict[str, Any], countdown: float | None, delivery: str
    ) -> dict[str, Any]:
        parent, job = self._app.current_worker_task, message.job
        identity = {"key": job.key, "fingerprint": job.fingerprint, "edition": job.edition}
        if delivery != job.id:
            identity["job"] = job.id
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
            "timelimit": options["timelimit"],
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
        if message.admitted:
            # Under this name Celery takes it as it is; among the others it would search for it in each
            # message.
            headers["headers"] = {HEADER: identity}
        if countdown is not None:
            headers["eta"] = (self._app.now() + timedelta(seconds=countdown)).isoformat()
        return headers

    def _options_of(self, name: str) -> dict[str, Any]:
        task: Any = self._app.tasks.get(name)
        own = {k: v for k, v in task._get_exec_options().items() if v is not None} if task else {}  # noqa: SLF001  # as send_task
        timelimit = [own.pop("time_limit", None), own.pop("soft_time_limit", None)]
        ignore_result = task.ignore_result if task else self._app.conf.task_ignore_result
        own.pop("expires", None)
        amqp: Any = self._app.amqp
        options = {
            "timelimit": timelimit,
            "ignore_result": ignore_result,
            "publish": amqp.router.route(own, name, (), {}, task),
        }
        if len(self._options) >= _OPTIONS_KEPT:
            self._options.clear()
        self._options[name] = options
        return options
