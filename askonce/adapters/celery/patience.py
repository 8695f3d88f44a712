"""Bounds each wait for a broker on Redis.

kombu has no time limit of its own: a server that hangs would block a publish for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery


def broker_url(app: Celery) -> str:
    """Return the URLs of *app*'s broker, joined by semicolons."""
    url = app.conf.broker_write_url or "amqp://127.0.0.1"
    return url if isinstance(url, str) else ";".join(url)


def bounded(app: Celery, seconds: float) -> dict[str, Any]:
    """Return transport options under which each wait for *app*'s broker ends after *seconds*."""
    options: dict[str, Any] = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    if broker_url(app).startswith("sentinel"):
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        # redis-py would try each sentinel for ten seconds.
        own = (app.conf.broker_transport_options or {}).get("sentinel_kwargs") or {}
        options["sentinel_kwargs"] = {**own, **options, "retry": Retry(NoBackoff(), 0)}
    return options


def bounded_unless_set(app: Celery, seconds: float) -> dict[str, Any]:
    """Return those of these options that *app* does not set; none for a broker that is not on Redis."""
    if not broker_url(app).startswith(("redis", "sentinel")):
        return {}
    own = app.conf.broker_transport_options or {}
    return {name: value for name, value in bounded(app, seconds).items() if name not in own}
