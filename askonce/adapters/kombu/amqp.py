"""kombu's transport for RabbitMQ, whose every wait for the server ends.

py-amqp waits without end for the server's reply when it opens a channel, declares a queue or awaits the
confirmation of a message: a server that hangs, or that takes no messages because it is out of memory, would
hold its askers for ever. Here each such wait ends after *reply_timeout* seconds, one of the transport's
options, and the connection is given up: a confirmation that comes late must not be taken for the next
message's. Used by ``broker_transport`` in ``celeryconfig.py``.
"""

from __future__ import annotations

from ssl import CERT_REQUIRED
from typing import Any

from amqp.exceptions import RecoverableConnectionError
from kombu.transport import pyamqp

#: Seconds for one reply of the server, where the options name none.
REPLY_TIMEOUT = 5.0


class Connection(pyamqp.Connection):
    """A connection on which nothing waits for ever."""

    def __init__(self, *args: Any, reply_timeout: float = REPLY_TIMEOUT, **options: Any) -> None:  # noqa: ANN401  # py-amqp's signature
        super().__init__(*args, **{"write_timeout": reply_timeout, **options})
        self._reply_timeout = reply_timeout

    def blocking_read(self, timeout: float | None = None) -> Any:  # noqa: ANN401  # py-amqp's signature
        """Read one frame; without a *timeout* somebody waits for a reply.

        Raises:
            amqp.exceptions.RecoverableConnectionError: it did not come in time.
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
    """The same over TLS, to nobody but the host that the URL names: py-amqp checks no name by itself."""

    Connection = Connection

    def establish_connection(self) -> Any:  # noqa: ANN401  # kombu's signature
        """Connect to the broker, whose certificate has to be its own."""
        client: Any = self.client
        host = client.hostname or "localhost"
        told = client.ssl if isinstance(client.ssl, dict) else {}
        client.ssl = {"cert_reqs": CERT_REQUIRED, **told, "server_hostname": host}
        try:
            return super().establish_connection()
        finally:
            # kombu leaves a number in the place of localhost, which no certificate names.
            client.hostname = host
