"""Builds the store and the Celery app of a producer: the one place that knows how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import Celery

from askonce.adapters.redis import RedisStore
from askonce.events import Listener, ignore

if TYPE_CHECKING:
    from settings.environment import Settings


def new_store(settings: Settings, *, listen: Listener = ignore) -> RedisStore:
    """Return a store on the server that *settings* name; it connects at the first command."""
    return RedisStore.from_url(
        settings.store_url(), namespace=settings.namespace, listen=listen, tls=settings.store_tls()
    )


def new_app() -> Celery:
    """Return a Celery app that has the workers' settings and no task."""
    return Celery("askonce", config_source="celeryconfig", set_as_current=False)
