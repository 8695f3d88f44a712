"""Celery's settings that depend on the broker: one function for each kind of broker.

To add a broker, write its function and name its URL schemes in BROKERS.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from kombu import Exchange, Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from settings.environment import Settings

#: A publish that the broker refuses fails soon: the caller waits for it, and the record sends the job again.
_PUBLISH_RETRY: Final = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
_QUEUE: Final = "askonce"
_SOCKET: Final = {
    # Without these a publish to a hanging server blocks forever. Longer than a BRPOP's one second.
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
}


def broker_settings(settings: Settings) -> dict[str, Any]:
    """Return Celery's settings for the broker that *settings* name."""
    url = settings.broker_url()
    chosen = (broker for schemes, broker in BROKERS.items() if url.startswith(schemes))
    return next(chosen, kombu_transport)(settings)


def redis_server(settings: Settings) -> dict[str, Any]:
    """Return the settings for one Redis server, with our transport."""
    # The transport keeps one redis-py client for a channel: a third less work for a message. It also renews
    # the deliveries of a living worker, so the visibility timeout is a time without a sign of life
    # (docs/canvas.md). The timeout does not recover jobs: leases and the reaper do.
    tls = "SSL" if settings.broker_url().startswith("rediss") else ""
    return {
        "broker_transport": f"askonce.adapters.kombu.redis:{tls}Transport",
        **_of_redis(settings),
    }


def kombu_transport(settings: Settings) -> dict[str, Any]:
    """Return the settings for kombu's own transport: a Redis server on a unix socket, for example."""
    # kombu does not renew deliveries, so its visibility timeout must be longer than any run: it is an hour.
    return _of_redis(settings)


def sentinels(settings: Settings) -> dict[str, Any]:
    """Return the settings for a Redis server that sentinels watch."""
    found = settings.broker_sentinels()
    chosen = kombu_transport(settings)
    if found is None:
        return chosen
    chosen["broker_transport_options"] |= {
        # The sentinels' name of the server, and redis-py's options for the sentinels themselves.
        "master_name": found.master_name,
        "sentinel_kwargs": _SOCKET | found.sentinel_options(settings.broker_tls()),
    }
    # Celery reads CELERY_BROKER_URL from the environment by itself. In that URL kombu fails on the name when
    # it goes from one sentinel to the next. These two settings override that URL.
    url = settings.broker_url()
    return {**chosen, "broker_read_url": url, "broker_write_url": url}


def rabbitmq(settings: Settings) -> dict[str, Any]:
    """Return the settings for RabbitMQ, with our transport, which ends every wait for the server."""
    tls = "SSL" if settings.broker_url().startswith("amqps") else ""
    # Several applications may share a server. A dot would separate the words that a topic exchange compares.
    queue = f"{settings.namespace.replace('.', '/')}:{_QUEUE}"
    return {
        "broker_transport": f"askonce.adapters.kombu.amqp:{tls}Transport",
        "broker_transport_options": {
            # Without it a message that the server lost or never took counts as sent.
            "confirm_publish": True,
            # For one reply, for example a message's confirmation.
            "reply_timeout": 5,
            # For a connection that a publish needs: the caller must not wait for a second try.
            "max_retries": 1,
            "interval_start": 0.2,
        },
        "broker_connection_timeout": 2,
        # A connection that died silently is noticed within two heartbeats.
        "broker_heartbeat": 25,
        **_quorum_queue(queue),
        # Celery has this setting for Redis only. RabbitMQ keeps to the concurrency because of late acks.
        "worker_disable_prefetch": False,
        # When the server takes no messages, each try costs the whole reply timeout.
        "task_publish_retry_policy": _PUBLISH_RETRY | {"max_retries": 1},
    }


#: The schemes of a broker URL, and the function that returns its settings.
BROKERS: Final[Mapping[tuple[str, ...], Callable[[Settings], dict[str, Any]]]] = MappingProxyType(
    {
        ("redis://", "rediss://"): redis_server,
        ("redis+socket://",): kombu_transport,
        ("sentinel://",): sentinels,
        ("amqp://", "amqps://", "pyamqp://"): rabbitmq,
    }
)


def _of_redis(settings: Settings) -> dict[str, Any]:
    return {
        "broker_transport_options": {
            # The record refuses copies that Celery restores, so restoring them soon costs nothing.
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 10,
            **_SOCKET,
            # A connection that died silently is noticed within this time.
            "health_check_interval": 25,
            # Several applications may share a server.
            "global_keyprefix": f"{{{settings.namespace}}}:",
        },
        "task_default_queue": _QUEUE,
        # A server that is full refuses the note of a delivery. By default that ends the worker.
        "broker_channel_error_retry": True,
        "worker_disable_prefetch": True,
        "task_publish_retry_policy": _PUBLISH_RETRY,
    }


def _quorum_queue(name: str) -> dict[str, Any]:
    # Quorum: most of the servers keep it, so it is not lost with one of them. Celery's delay of messages on
    # the server (countdown, retries) needs a topic exchange.
    arguments = {
        "x-queue-type": "quorum",
        # The server drops a message that was delivered so often. The record has the job, and counts too.
        "x-delivery-limit": 20,
        # From 3.12 on: a run may be longer than the server's own half hour (milliseconds).
        "x-consumer-timeout": 86_400_000,
    }
    exchange = Exchange(name, type="topic")
    return {
        "task_default_queue": name,
        "task_default_queue_type": "quorum",
        "task_create_missing_queue_type": "quorum",
        "task_default_exchange_type": "topic",
        "task_create_missing_queue_exchange_type": "topic",
        "task_queues": [Queue(name, exchange, routing_key=name, queue_arguments=arguments)],
    }
