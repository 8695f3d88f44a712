"""kombu's transport for RabbitMQ with a time limit for every wait.

py-amqp has no time limit when it opens a channel, declares a queue or waits for the confirmation of a
message. A server that hangs, or that accepts no messages because it is out of memory, would block its
producers for ever. Here each such wait ends after *reply_timeout* seconds, one of the transport's options.
The connection is then closed: a late confirmation must not be taken for the next message's.
``settings/brokers.py`` uses it.
"""

from __future__ import annotations

from ssl import CERT_REQUIRED
from typing import Any

from amqp.exceptions import RecoverableConnectionError
from kombu.transport import pyamqp

#: Seconds for one reply of the server, where the options name none.
_REPLY_TIMEOUT = 5.0


class Connection(pyamqp.Connection):
    """A connection with a time limit for every wait."""

    def __init__(self, *args: Any, reply_timeout: float = _REPLY_TIMEOUT, **options: Any) -> None:  # noqa: ANN401  # py-amqp's signature
        super().__init__(*args, **{"write_timeout": reply_timeout, **options})
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
