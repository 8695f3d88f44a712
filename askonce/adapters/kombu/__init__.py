"""Transports for Celery's broker connection."""

from kombu import Connection

# Monitors choose their client of the broker by the scheme that kombu shows for a transport.
Connection.resolve_aliases.update(
    {
        f"{__name__}.redis:Transport": "redis",
        f"{__name__}.redis:SSLTransport": "rediss",
        f"{__name__}.amqp:Transport": "amqp",
        f"{__name__}.amqp:SSLTransport": "amqps",
    }
)
