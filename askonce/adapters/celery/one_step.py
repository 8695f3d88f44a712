"""Admits a job and sends its message in one script, where the broker is the store's own server.

The message is what kombu itself would have put into the queue. Celery and kombu build one for each task,
which is caught before it is sent. Every further message is that text with its own ids and payload. A
message that does not look as expected (another exchange, compression, a receiver of Celery's signals) takes
two steps: first the record, then the message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import parse_qs, urlsplit

from celery import signals
from kombu.exceptions import OperationalError
from kombu.utils.json import dumps

from askonce.adapters.celery.checks import PATIENCE, RENEWS
from askonce.adapters.celery.kwargsrepr import kwargsrepr_of
from askonce.adapters.celery.patience import bounded
from askonce.adapters.celery.sender import BODY
from askonce.enqueue import Producer
from askonce.events import Listener, ignore
from askonce.job import Fingerprint, Job, JobId, Key, Routing
from askonce.message import Message
from askonce.store import Address, Push

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from celery import Celery

    from askonce.adapters.celery.sender import CelerySender
    from askonce.claim import Claim
    from askonce.errors import JobError
    from askonce.store import Admission, Pusher, Reply, Store

#: Stands for the parts that each message has of its own; no other text of a message equals them.
_SAMPLE = Job(
    key=Key("a" * 64),
    id=JobId("b" * 32),
    fingerprint=Fingerprint("c" * 64),
    task="",
    payload=b"d" * 36,
    version="e" * 24,
    tenant="g" * 24,
    run="h" * 24,
    admitted_at=8_765_432_198_765,
)
_TAG = "f" * 36
#: The place of each part in message.lua. Order matters: first what holds others.
_PLACES = {
    kwargsrepr_of(_SAMPLE): 3,
    _SAMPLE.payload.decode(): 1,
    _SAMPLE.key: 2,
    _SAMPLE.fingerprint: 4,
    _SAMPLE.id: 5,
    _TAG: 6,
    _SAMPLE.version: 7,
    _SAMPLE.tenant: 8,
    str(_SAMPLE.admitted_at): 9,
    _SAMPLE.run: 0,
}
#: Seconds of two steps before a broker that was away is tried again for the message of a task.
_BROKER_REST = 30.0
#: Kept templates: one for each task, queue and priority, whose names come from callers.
_TEMPLATES_KEPT = 200
#: What kombu calls a single server; ours are the same with another channel.
_REDIS = frozenset({"redis", "rediss", *RENEWS.values()})


def new_producer(app: Celery, store: Store, sender: CelerySender, listen: Listener = ignore) -> Producer:
    """Return a producer on *store* that sends by *sender*, in one step where one server has both."""
    producer = Producer(store=store, sender=sender, listen=listen)
    pusher, messages = store.pusher, address(app)
    if pusher is not None and pusher.address == messages:
        return replace(producer, publish=OneStep(app, store, pusher, sender))
    records = pusher.address if pusher else None
    return replace(producer, sends_alone=_apart(records, messages, app))


def _apart(records: Address | None, messages: Address | None, app: Celery) -> bool:
    """Return whether the broker may still answer while the store does not."""
    if records and messages:
        return records[:2] != messages[:2]
    # Several servers behind one name may be the same ones.
    return not re.search("redis|sentinel", str(app.connection_for_write().transport_cls))


@dataclass(frozen=True, slots=True)
class _Template:
    """One task's messages: their list on the server, and their text with places to fill."""

    queue: str
    text: bytes

    @classmethod
    def of(cls, queue: str, message: dict[str, Any]) -> Self:
        """Make one of the message of the sample."""
        message["body"], message["properties"]["delivery_tag"] = message["body"].decode(), _TAG
        text = dumps(message)
        for sampled, place in _PLACES.items():
            text = text.replace(sampled, f"\1{place}")
        return cls(queue, text.encode())


class OneStep:
    """``Producer.publish`` for one app whose broker is its store's server and database."""

    def __init__(self, app: Celery, store: Store, pusher: Pusher, sender: CelerySender) -> None:
        """Send to *app*'s workers the messages that *sender* would send."""
        self._app, self._store, self._pusher, self._sender = app, store, pusher, sender
        self._templates: dict[tuple[str, Routing], _Template | None] = {}
        self._try_at = 0.0

    def admit(self, claim: Claim) -> Reply[Admission]:
        """Admit *claim* and send its message; only admit it where its message needs a second step.

        Raises:
            StoreUnavailable: both were done or none; which is unknown.
        """
        template = None if self._is_watched() else self._template_of(claim)
        if template is None:
            return self._store.admit(claim)
        push = Push(claim, template.queue, template.text, kwargsrepr_of(claim.job))
        return self._pusher.admit_and_push(push, token_hex(16))

    def admit_many(self, claims: Sequence[Claim]) -> Iterable[Reply[Admission] | JobError]:
        """Do the same for each of *claims*; all in one step, or none.

        Raises:
            StoreUnavailable: of each claim, both were done or none; which is unknown.
        """
        pushes: list[Push] = []
        for claim in () if self._is_watched() else claims:
            template = self._template_of(claim)
            if template is None:
                break
            pushes.append(Push(claim, template.queue, template.text, kwargsrepr_of(claim.job)))
        if len(pushes) < len(claims):
            return self._store.admit_many(claims)
        return self._pusher.admit_and_push_many(pushes)

    def _is_watched(self) -> bool:
        """Return whether a message needs more: a task that sends it, or a receiver of Celery's signals."""
        return bool(
            self._app.conf.task_always_eager
            or self._app.current_worker_task
            or signals.before_task_publish.receivers
            or signals.after_task_publish.receivers
            or signals.task_sent.receivers
        )

    def _template_of(self, claim: Claim) -> _Template | None:
        """Return the template of a claim's message; None where it takes two steps, or the broker is away.

        Raises:
            StoreUnavailable: the server does not answer.
        """
        job = claim.job
        # A message with limits or headers of its own is rare, and one that is due later is sent then.
        if not job.routing.is_plain or claim.terms.countdown > 0:
            return None
        which = job.task, job.routing
        if which not in self._templates and monotonic() >= self._try_at:
            if len(self._templates) >= _TEMPLATES_KEPT:
                self._templates.clear()
            # kombu is slow to notice that the server is away, and the store is the same server.
            self._store.read([job.key])
            try:
                self._templates[which] = self._template(job.task, job.routing)
            except OperationalError:
                # Not each caller may wait for the broker. What is not known is not remembered.
                self._try_at = monotonic() + _BROKER_REST
        return self._templates.get(which)

    def _template(self, task: str, routing: Routing) -> _Template | None:
        sample = _SAMPLE._replace(task=task, routing=routing)
        try:
            queue, message = self._catch(sample)
        except ValueError:
            return None
        if message["body"] != BODY % sample.payload or "compression" in message["headers"]:
            return None
        if message["properties"]["delivery_info"]["exchange"]:
            return None
        return _Template.of(queue, message)

    def _catch(self, sample: Job) -> tuple[str, dict[str, Any]]:
        """Let kombu make *sample*'s message, and take it before it goes; also declares its queue.

        Raises:
            ValueError: it does not go to exactly one plain list.
            kombu.exceptions.OperationalError: the broker did not answer.
        """
        connection: Any = self._app.connection_for_write(transport_options=bounded(self._app, PATIENCE))
        try:
            # Not by the connection itself: that would connect a second time, after a rest.
            transport = connection.transport
            established = transport.establish_connection()
            try:
                return self._catch_on(transport.create_channel(established), sample)
            finally:
                transport.close_connection(established)
        except (*connection.connection_errors, *connection.channel_errors) as exc:
            raise OperationalError(type(exc).__name__) from exc

    def _catch_on(self, channel: Any, sample: Job) -> tuple[str, dict[str, Any]]:
        caught: list[tuple[str, dict[str, Any]]] = []
        # The body as it is: kombu reads that too, it is a quarter shorter, and a script can write it.
        channel.body_encoding = "utf-8"
        channel._put = lambda queue, message, **_: caught.append((queue, message))  # noqa: SLF001  # kombu's own step
        producer = cast("Any", self._app.amqp).Producer(channel, auto_declare=False)
        # Without a retry: it would go on without this channel.
        self._sender.publish(producer, Message(sample, sent_at=sample.admitted_at), retry=False)
        [(queue, message)] = caught
        if queue in (channel._expires or ()):  # noqa: SLF001  # kombu's own step
            raise ValueError("a queue that expires is prolonged by each message")
        priority = channel._get_message_priority(message, reverse=False)  # noqa: SLF001  # kombu's own step
        name = channel._q_for_pri(queue, priority)  # noqa: SLF001  # kombu's own step
        return f"{channel.global_keyprefix}{name}", message


def address(app: Celery) -> Address | None:
    """Return where *app*'s messages go, if that is one Redis server."""
    connection: Any = app.connection_for_write()
    if connection.transport_cls not in _REDIS or len(connection.alt) > 1:
        return None
    database = str(connection.virtual_host or "0").strip("/") or "0"
    if str(connection.hostname).startswith("socket://"):
        socket = urlsplit(connection.hostname)
        return Address(socket.path, 0, parse_qs(socket.query).get("virtual_host", ["0"])[0])
    return Address(connection.hostname or "127.0.0.1", int(connection.port or 6379), database)
