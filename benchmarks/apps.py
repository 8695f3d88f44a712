"""The Celery app of every measurement: askonce and its rivals have the same settings and payload."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from celery import Celery

from askonce import JobSpec
from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.redis import RedisStore
from askonce.fields import as_id
from askonce.pace import Pace, Provider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

URL = os.environ.get("BENCH_URL", "redis://127.0.0.1:6379/0")
NAMESPACE = "bench"
_CALL_SECONDS = float(os.environ.get("BENCH_CALL_SECONDS", "0.05"))

app = Celery("bench", broker=URL, backend=URL)
app.conf.update(
    # The transport of Celery, unless a measurement selects the one in celeryconfig.py.
    broker_transport=os.environ.get("BENCH_TRANSPORT") or None,
    task_ignore_result=True,
    task_default_queue="bench",
    task_acks_late=True,
    broker_connection_retry_on_startup=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
)
once = AskOnce(app, store=lambda: RedisStore.from_url(URL, namespace=NAMESPACE))


VALUE = {"answer": "x" * 1000}


def payload(number: int, size: int = 1000) -> dict[str, object]:
    """Return a payload of about *size* bytes of JSON, different for each *number*."""
    words = {f"field_{i:02d}": "value " * 6 + str(i) for i in range(16)}
    return {"order_id": f"A-{number}", **words, "filling": "x" * max(0, size - 860)}


@app.task(name="plain.noop", ignore_result=True)
def plain(**_payload: Any) -> None: ...


@app.task(name="plain.stored", ignore_result=False)
def plain_stored(**_payload: Any) -> dict[str, str]:
    return VALUE


@app.task(name="plain.call", ignore_result=True)
def plain_call(**_payload: Any) -> None:
    time.sleep(_CALL_SECONDS)  # noqa: TID251  # stands in for the call


@app.task(name="once.noop", base=IdempotentTask, spec=JobSpec(key_fields=("order_id",)))
def once_noop(**_payload: Any) -> dict[str, str]:
    return VALUE


def _checked(row: Mapping[str, object]) -> dict[str, object]:
    return {**row, "order_id": as_id(row.get("order_id"), "order_id")}


@app.task(name="once.checked", base=IdempotentTask, spec=JobSpec(input=_checked, key_fields=("order_id",)))
def once_checked(**_payload: Any) -> dict[str, str]:
    return VALUE


@app.task(name="once.call", base=IdempotentTask, spec=JobSpec(key_fields=("order_id",)))
def once_call(**_payload: Any) -> dict[str, str]:
    time.sleep(_CALL_SECONDS)  # noqa: TID251  # stands in for the call
    return VALUE


@cache
def _pace() -> Pace:
    # As after its start: a provider that never refused.
    return Pace(once.process().store.boards, Provider(board="bench", first=1000))


@app.task(name="once.paced", base=IdempotentTask, spec=JobSpec(key_fields=("order_id",)))
def once_paced(order_id: str, **_payload: Any) -> dict[str, str]:
    _pace().call(order_id, lambda _turn: time.sleep(_CALL_SECONDS))  # noqa: TID251  # stands in for the call
    return VALUE


def rivals() -> Iterator[tuple[str, Any]]:
    """Yield the tasks of the two libraries, with the settings that their manuals recommend."""
    from celery_once import QueueOnce
    from celery_singleton import Singleton

    settings = {"url": URL, "default_timeout": 3600}
    app.conf.ONCE = {"backend": "celery_once.backends.Redis", "settings": settings}
    app.conf.singleton_backend_url = URL

    @app.task(name="rival.once", base=QueueOnce, once={"graceful": True, "keys": ["order_id"]})
    def by_once(order_id: str, **_payload: Any) -> None: ...

    @app.task(name="rival.singleton", base=Singleton, unique_on=["order_id"], lock_expiry=3600)
    def by_singleton(order_id: str, **_payload: Any) -> None: ...

    yield "celery-once", by_once
    yield "celery-singleton", by_singleton
