"""The Celery app: ``celery -A worker.app worker``."""

from __future__ import annotations

from functools import partial
from mmap import mmap
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from celery import Celery
from celery.signals import setup_logging, worker_shutting_down

from askonce.adapters.celery import AskOnce
from askonce.answer import Codec
from askonce.log import log_event
from askonce.store_down.cache import LocalCache
from settings.checks import check
from settings.environment import load_or_exit
from settings.logs import configure
from settings.servers import new_store
from tasks.catalog import CUSTOMERS_LOOKUP, MEETINGS_PART, TASKS, catalog
from tasks.lookups.functions import use
from tasks.reasons import cure_of
from tasks.resources import new_resources
from tasks.run_inputs import inputs_of_run
from tasks.schedule import entries
from worker.events import GroupedEventsStep
from worker.listeners.counts import count
from worker.process import PerProcess
from worker.signs import add_signs
from worker.successes import RecordedTask

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
setup_logging.connect(partial(configure, settings.log_format), weak=False)
_specs = catalog(settings)
app = Celery(
    "askonce",
    config_source="celeryconfig",
    control="worker.control:Control",
    task_cls="worker.successes:PlainTask",
)
app.steps["consumer"].add(GroupedEventsStep)
once = AskOnce(
    app,
    store=lambda: new_store(settings, listen=listen),
    codec=Codec(compress_from=settings.cache_compression_threshold),
    listen=listen,
    reap_interval=settings.reap_interval,
    local_cache=_new_cache,
    cure_of=cure_of,
    inputs_of_run=inputs_of_run,
    check=lambda once: check(settings, _specs.values(), once.process().store, app),
    schedule=entries(settings),
)
# Bodies of tasks may call cached functions.
use(settings, listen)
add_signs(app)
#: Whether the worker ends, in memory that the children of prefork share: no signal tells them.
_is_ending = mmap(-1, 1)
resources = PerProcess(
    lambda: new_resources(
        settings,
        once.process().caller,
        customers=_specs[CUSTOMERS_LOOKUP],
        part=_specs[MEETINGS_PART],
        is_ending=lambda: _is_ending[0] > 0,
    )
)


@worker_shutting_down.connect
def _end_waiting(**_: object) -> None:
    """Let no job wait in its slot for its turn: the worker ends as soon as its calls under way have ended."""
    _is_ending[0] = 1


def _register(task: Task) -> None:
    """Make a Celery task of *task*; a payload's fields are its keyword arguments.

    It is this app's only: Celery gives a shared task to every other app of the process too.
    """
    body = resolve_name(task.body)

    @app.task(name=task.name, base=RecordedTask, spec=_specs[task.name], typing=False, shared=False)
    def run(**payload: object) -> object:
        return body(payload, resources.get())


for _task in TASKS:
    _register(_task)
