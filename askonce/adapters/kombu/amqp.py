"""kombu's transport for RabbitMQ with a time limit for every wait.

py-amqp has no time limit when it opens a channel, declares a queue or waits for the confirmation of a
message. A server that hangs, or that accepts no messages because it is out of memory, would block its
producers for ever. Here each such wait ends after *reply_timeout* seconds, one of the transport's options.
The connection is then closed: a late confirmation must not be taken for the next message's.
``settings/brokers.py`` uses it.
"""

from __future__ import annotations

from ssl import CERT_REQUIRED
from typing import TYPE_CHECKING, Any

from amqp.exceptions import RecoverableConnectionError
from amqp.method_framing import frame_handler
from amqp.serialization import decode_properties_basic
from kombu.transport import pyamqp

if TYPE_CHECKING:
    from collections.abc import Callable

#: The type of a frame with a message's properties, the bytes before them, and those of none.
_HEADER, _FIXED, _NO_PROPERTIES = 2, 12, b"\0\0"
#: Seconds for one reply of the server, where the options name none.
_REPLY_TIMEOUT = 5.0


class Connection(pyamqp.Connection):
    """A connection with a time limit for every wait."""

    def __init__(self, *args: Any, reply_timeout: float = _REPLY_TIMEOUT, **options: Any) -> None:  # noqa: ANN401  # py-amqp's signature
        how = {"write_timeout": reply_timeout, "frame_handler": _new_frame_handler}
        super().__init__(*args, **{**how, **options})
        self._reply_timeout = reply_timeout

    def blocking_read(self, timeout: float | None = None) -> Any:  # noqa: ANN401  # py-amqp's signature
        """Read one frame; a call without *timeout* waits for a reply.

        Raises:
            amqp.exceptions.RecoverableConnectionError: the reply did not come in time.
        """
        if timeout is not None:
            return super().blocking_read(timeout)
        try:
            return super().blocking_read(self._reply_timeout)
        except TimeoutError:
            self.collect()
            raise RecoverableConnectionError(f"no reply within {self._reply_timeout:g} s") from None


class Transport(pyamqp.Transport):
    """kombu's transport with that connection."""

    Connection = Connection


def _new_frame_handler(connection: Connection, callback: Callable[..., Any]) -> Callable[[Any], Any]:
    """Read frames as py-amqp does; a message whose properties it cannot read has none, and keeps its body.

    The server does not check them all: a text that is not UTF-8, a time after the year 9999. py-amqp's error
    would end the worker, and then the next one that gets the message.
    """
    on_frame: Callable[[Any], Any] = frame_handler(connection, callback)

    def on_any_frame(frame: Any) -> Any:  # noqa: ANN401  # py-amqp's signature
        kind, channel, content = frame
        try:
            return on_frame(frame)
        except Exception:
            if kind != _HEADER or _are_readable(content):
                raise
        return on_frame((kind, channel, bytes(content[:_FIXED]) + _NO_PROPERTIES))

    return on_any_frame


def _are_readable(content: bytes) -> bool:
    try:
        decode_properties_basic(content, _FIXED)
    except Exception:  # noqa: BLE001  # whatever the types of its values raise
        return False
    return True


class SSLTransport(pyamqp.SSLTransport):
    """The same over TLS, only to the host that the URL names: py-amqp checks no name by itself."""

    Connection = Connection

    def establish_connection(self) -> Any:  # noqa: ANN401  # kombu's signature
        """Connect to the broker; its certificate must name its host."""
        client: Any = self.client
        host = client.hostname or "localhost"
        given = client.ssl if isinstance(client.ssl, dict) else {}
        client.ssl = {"cert_reqs": CERT_REQUIRED, **given, "server_hostname": host}
        try:
            return super().establish_connection()
        finally:
            # kombu leaves an IP address in the place of localhost, and no certificate names it.
            client.hostname = host
