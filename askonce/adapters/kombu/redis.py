"""kombu's Redis transport at a lower cost for each message.

kombu makes a new redis-py client for every publish, every delivery and every acknowledgement. With
redis-py 8 each of them builds its table of response callbacks anew, which costs more than the command:
about a third of what a worker spends on a message. Here a channel keeps its client, and notes deliveries
and acknowledgements, always the same commands, without redis-py's pipeline. ``settings/brokers.py`` uses it;
a unix socket's URL names its transport itself, and gets kombu's own.
"""

from __future__ import annotations

import logging
from threading import Event
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from kombu.transport import redis, virtual
from kombu.utils.json import dumps
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, ResponseError

from askonce.adapters.kombu.delivery_lease import DeliveryLease
from askonce.adapters.kombu.envelope import is_envelope, is_message
from askonce.adapters.kombu.put_first import put_first
from askonce.adapters.redis.link import ServerLink
from askonce.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)
#: Seconds until a queue is read again after an item that is no message could not be kept.
UNKEPT_REST = 0.5


class QoS(redis.QoS):
    """The deliveries that are not acknowledged; keys, fields and errors are kombu's.

    A delivery that the server did not let go is renewed no more: it comes again as from a lost worker. Celery
    does not try again, so one that is renewed would take a place of this worker for ever.
    """

    channel: Any
    _delivered: Any
    _dirty: Any
    _lease: DeliveryLease | None = None

    def append(self, message: Any, delivery_tag: str) -> None:  # noqa: ANN401  # kombu's signature
        """Note a message that was taken from its queue."""
        where = message.delivery_info
        # It goes back to its queue, whatever exchange it names: one that is unknown here would lose it.
        back = ("", queue) if (queue := where.get("queue")) else (where["exchange"], where["routing_key"])
        noted = dumps([message._raw, *back])  # noqa: SLF001  # as kombu's
        self.channel.transact(
            ("ZADD", self.unacked_index_key, self.lease.now(), delivery_tag),
            ("HSET", self.unacked_key, delivery_tag, noted),
        )
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a message that is done."""
        try:
            self.channel.transact(
                ("ZREM", self.unacked_index_key, delivery_tag), ("HDEL", self.unacked_key, delivery_tag)
            )
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002  # kombu's signature
        """Drop a message, or give it back to its queue."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def restore_visible(self, *_: object, **__: object) -> None:
        """Put a dead worker's deliveries back into their queues; kombu's limits are not needed."""
        try:
            abandoned = self.lease.take_abandoned()
        except NoPermissionError:
            # A monitor reads queues too. If its user may not take messages, the workers restore them.
            return
        for tag in abandoned:
            self.restore_by_tag(tag)

    @property
    def lease(self) -> DeliveryLease:
        """The lease on this channel's deliveries, from its first use on."""
        if self._lease is None:
            index = f"{self.channel.global_keyprefix}{self.unacked_index_key}"
            # A connection of its own: another thread may use the channel's.
            link = ServerLink(self.channel._create_client())  # noqa: SLF001  # this module's own
            lease = DeliveryLease(link, index, self.visibility_timeout, self.held)
            try:
                lease.begin()
            except ResponseError:
                lease.end()
                raise
            self._lease = lease
        return self._lease

    def end_lease(self) -> None:
        """Stop renewing: other workers take over what is still held."""
        if self._lease is not None:
            self._lease.end()

    def held(self) -> list[str]:
        """Return the tags of the deliveries that are neither acknowledged nor given back."""
        return [tag for tag in list(self._delivered) if tag not in self._dirty]


class Channel(redis.Channel):
    """A channel that keeps its client as long as its pool of connections."""

    QoS = QoS
    #: Seconds without a renewal after which a delivery goes back to its queue. An option may set them. kombu,
    #: which renews none, has an hour: there it must be longer than any run.
    visibility_timeout = 60
    _client_kept: Any = None
    _link: ServerLink | None = None

    def transact(self, *commands: tuple[Any, ...]) -> None:
        """Run *commands*, whose second word is a key, all or none, in one round trip.

        Raises:
            redis.exceptions.RedisError: kombu takes care of it.
        """
        prefixed = [(verb, f"{self.global_keyprefix}{key}", *rest) for verb, key, *rest in commands]
        client = self._create_client()
        self._link = self._link or ServerLink(client)
        *queued, done = self._link.exchange(("MULTI",), *prefixed, ("EXEC",))
        # A command may fail when it is queued, which cancels all of them, or when it runs.
        for reply in (*queued, *(done if isinstance(done, list) else [done])):
            if isinstance(reply, ResponseError):
                raise reply

    @property
    def _refresh_binding(self) -> Callable[..., object]:
        return self._by_eval(redis.REFRESH_BINDING)  # type: ignore[attr-defined]  # not in the stubs

    @property
    def _sweep_bindings(self) -> Callable[..., object]:
        return self._by_eval(redis.SWEEP_BINDINGS)  # type: ignore[attr-defined]  # not in the stubs

    def _by_eval(self, script: str) -> Callable[..., object]:
        """Run kombu's *script* by EVAL: redis-py's way needs SCRIPT, which our users may not run."""

        def run(*, keys: list[str], args: list[object], client: Any) -> object:  # noqa: ANN401  # or a pipeline
            # The prefixed client prefixes the first key of an EVALSHA, and none of an EVAL.
            first, *others = keys
            name = f"{self.global_keyprefix}{first}"
            return client.execute_command("EVAL", script, len(keys), name, *others, *args)

        return run

    def close(self) -> None:
        """Close the channel; its messages return to their queues."""
        if isinstance(self._qos, QoS):
            self._qos.end_lease()
        super().close()

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002  # kombu's signature
        # The asynchronous one belongs to the event loop; kombu keeps it.
        if asynchronous:
            client: Any = super()._create_client(asynchronous=True)  # type: ignore[misc]  # not in the stubs
            client.parse_response = self._checked(client.parse_response)
            return client
        if self._client_kept is None or self._client_kept.connection_pool is not self.pool:
            self._client_kept = super()._create_client()  # type: ignore[misc]  # not in the stubs
        return self._client_kept

    def _checked(self, parse: Callable[..., Any]) -> Callable[..., Any]:
        """Return only messages from a queue: anything else would end the worker in kombu."""

        def parse_response(connection: Any, command: str, **options: Any) -> Any:  # noqa: ANN401  # redis-py's
            reply = parse(connection, command, **options)
            if command == "BRPOP" and reply and not is_message(reply[1]):
                self._refuse(*reply)
                return None  # as when nothing came
            return reply

        return parse_response

    def _refuse(self, queue: bytes, item: bytes) -> None:
        name = queue.decode(errors="replace").removeprefix(self.global_keyprefix)
        try:
            transport: Any = self.connection
            if transport.on_garbage is not None:
                transport.on_garbage(name, item)
            else:
                log.warning("an item of %d bytes in %s is no message; it is dropped", len(item), name)
        except JobError:
            # It goes to the end of its queue. This waits, because the item may be alone there.
            self._create_client().execute_command("LPUSH", f"{self.global_keyprefix}{name}", item)
            Event().wait(UNKEPT_REST)

    def _deliver_fanout_message(self, message: Any, exchange: str) -> bool:  # noqa: ANN401  # any JSON
        if not is_envelope(message):
            log.warning("a message to all workers is dropped: kombu cannot read it")
            return False
        return bool(super()._deliver_fanout_message(message, exchange))  # type: ignore[misc]  # not in the stubs

    def _get_pool(self, asynchronous: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002  # kombu's signature
        if self.connection is None or self.connection.client is None:
            # A channel may be closed again after its connection. kombu then fails on its missing client and
            # ends the worker; it handles a lost connection.
            raise RedisConnectionError("the connection is closed")
        return super()._get_pool(asynchronous=asynchronous)  # type: ignore[misc]  # not in the stubs

    def _disconnect_pools(self) -> None:
        if self._link is not None:
            self._link.close_idle()
        self._link = None
        super()._disconnect_pools()  # type: ignore[misc]  # not in the stubs


class Transport(redis.Transport):
    """kombu's transport with that channel."""

    Channel = Channel
    #: Keeps an item that is no message, given its queue and its bytes; raises JobError when it cannot.
    on_garbage: Callable[[str, bytes], None] | None = None

    def _deliver(self, message: Any, queue: str | None) -> None:  # noqa: ANN401  # what is_envelope accepts
        properties = message["properties"]
        # The queue that it came from, whatever it names; and a tag that no other delivery has.
        properties["delivery_info"]["queue"], properties["delivery_tag"] = queue, str(uuid4())
        callbacks: Any = self._callbacks
        if queue and queue not in callbacks:
            # It was on its way when its queue was cancelled.
            self._put_back(message)
            return
        super()._deliver(message, queue)

    def _put_back(self, message: Any) -> None:  # noqa: ANN401  # as _deliver's
        channels: Any = self.channels
        channel = next(channel for channel in channels if channel)
        inbound: Any = channel.Message(message, channel=channel)
        channel.qos.append(inbound, inbound.delivery_tag)
        put_first(inbound)


class SSLTransport(Transport):
    """The same over TLS; the server must prove its name, where the options do not differ."""

    def __init__(self, client: Any, **options: Any) -> None:  # noqa: ANN401  # kombu's signature
        super().__init__(client, **options)
        client.ssl = client.ssl or {"ssl_cert_reqs": "required"}
