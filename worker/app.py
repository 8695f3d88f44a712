"""The Celery app: ``celery -A worker.app worker``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from celery import Celery

from askonce.adapters.celery.task import AskOnce, IdempotentTask
from askonce.record import Codec
from askonce.store_down.cache import LocalCache
from settings.checks import check
from settings.environment import load_or_exit
from settings.servers import new_store
from tasks.catalog import (
    CUSTOMERS_LOOKUP,
    MEETINGS_ANALYZE,
    MEETINGS_EXTRACT,
    MEETINGS_FULL,
    ORDERS_ENRICH,
    catalog,
)
from tasks.lookups.body import lookup
from tasks.meetings import body as meetings
from tasks.orders import body as orders
from worker.listeners.counts import count
from worker.listeners.logs import log_event
from worker.resources import PerProcess, Resources

if TYPE_CHECKING:
    from askonce.events import Event
    from askonce.spec import JobSpec

Body = Callable[[Mapping[str, object], Resources], object]

BODIES: dict[str, Body] = {
    ORDERS_ENRICH: lambda payload, to: orders.enrich(payload, to.customers),
    CUSTOMERS_LOOKUP: lambda payload, to: lookup(payload, to.http),
    MEETINGS_EXTRACT: lambda payload, to: meetings.extract(payload, to.ask(), max_chars=to.max_input_chars),
    MEETINGS_ANALYZE: lambda payload, to: meetings.analyze(payload, to.ask(), max_chars=to.max_input_chars),
    MEETINGS_FULL: lambda payload, to: meetings.full(payload, to.ask(), max_chars=to.max_input_chars),
}


def listen(event: Event) -> None:
    """Count *event* and log it."""
    count(event)
    log_event(event)


settings = load_or_exit()
specs = catalog(settings)
app = Celery("askonce", config_source="celeryconfig", control="worker.control:Control")
once = AskOnce(
    app,
    store=lambda: new_store(settings, listen=listen),
    codec=Codec(compress_from=settings.cache_compression_threshold),
    listen=listen,
    reap_interval=settings.reap_interval,
    local_cache=lambda: LocalCache(
        max_bytes=int(settings.cache_max_memory_mb * 1_000_000), ttl=settings.cache_fallback_ttl
    ),
    check=lambda once: check(settings, specs.values(), once.process().store, app),
)
resources = PerProcess(settings, specs, lambda: once.process().caller)


def register(spec: JobSpec) -> None:
    """Make a Celery task of *spec* and its body; a payload's fields are its keyword arguments."""
    body = BODIES[spec.name]

    @app.task(name=spec.name, base=IdempotentTask, spec=spec, typing=False)
    def run(**payload: object) -> object:
        return body(payload, resources.get())


for _spec in specs.values():
    register(_spec)
