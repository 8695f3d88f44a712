"""The Celery app: ``celery -A worker.app worker``."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from celery import Celery
from celery.signals import setup_logging

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.answer import Codec
from askonce.log import log_event
from askonce.store_down.cache import LocalCache
from settings.checks import check
from settings.environment import load_or_exit
from settings.servers import new_store
from tasks.catalog import CUSTOMERS_LOOKUP, TASKS, catalog
from tasks.resources import new_resources
from worker.listeners.counts import count
from worker.listeners.logs import configure
from worker.process import PerProcess

if TYPE_CHECKING:
    from askonce.events import Event
    from tasks.catalog import Task


def listen(event: Event) -> None:
    """Count *event* and log it."""
    count(event)
    log_event(event)


def _new_cache() -> LocalCache:
    """Return the cache that a process answers from while the store is down."""
    max_bytes = int(settings.cache_max_memory_mb * 1_000_000)
    return LocalCache(max_bytes=max_bytes, ttl=settings.cache_fallback_ttl)


settings = load_or_exit()
setup_logging.connect(configure)
_specs = catalog(settings)
app = Celery("askonce", config_source="celeryconfig", control="worker.control:Control")
once = AskOnce(
    app,
    store=lambda: new_store(settings, listen=listen),
    codec=Codec(compress_from=settings.cache_compression_threshold),
    listen=listen,
    reap_interval=settings.reap_interval,
    local_cache=_new_cache,
    check=lambda once: check(settings, _specs.values(), once.process().store, app),
)
resources = PerProcess(lambda: new_resources(settings, once.process().caller, _specs[CUSTOMERS_LOOKUP]))


def _register(task: Task) -> None:
    """Make a Celery task of *task*; a payload's fields are its keyword arguments."""
    body = resolve_name(task.body)

    @app.task(name=task.name, base=IdempotentTask, spec=_specs[task.name], typing=False)
    def run(**payload: object) -> object:
        return body(payload, resources.get())


for _task in TASKS:
    _register(_task)
