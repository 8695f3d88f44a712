"""Catches what Celery raises around a task's body, in any pool.

Celery calls links and its result backend there. Its prefork pool makes an error a failure of the task. The
other pools drop it: nothing would acknowledge the message, and the worker would hold it for ever. Where a
message has expired, Celery calls the backend in the thread that serves the whole worker, which would end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billiard.einfo import ExceptionInfo

if TYPE_CHECKING:
    from collections.abc import Callable

_CALLBACKS = ("callback", "error_callback", "timeout_callback")


def catch(consumer: Any, end: Callable[[Any, Exception], None]) -> None:
    """Let *end* decide about each request of *consumer* for which Celery raised outside of a body."""
    consumer.pool.apply_async = _caught_in_pool(consumer.pool, end)
    worker = consumer.controller
    process = worker._process_task  # noqa: SLF001  # each way to the pool ends there, from any thread

    def process_task(request: Any) -> None:
        try:
            process(request)
        except Exception as exc:  # noqa: BLE001  # whatever it is, it is about this request
            end(request, exc)
            # It may have been taken for this request. A release too many is harmless.
            release = getattr(worker, "_quick_release", None)
            if release is not None:
                release()

    worker._process_task = process_task  # noqa: SLF001  # Celery has no hook around it
    if consumer.on_task_request == process:
        consumer.on_task_request = process_task


def _caught_in_pool(pool: Any, end: Callable[[Any, Exception], None]) -> Callable[..., Any]:
    apply_async = pool.apply_async
    # Children of the prefork pool catch what a target raises, and get it by its name.
    in_this_process = not pool.uses_semaphore

    def apply_and_catch(target: Callable[..., Any], *args: Any, **options: Any) -> Any:
        fail: Any = options.get("error_callback")
        request = getattr(fail, "__self__", None)
        if request is None:
            return apply_async(target, *args, **options)
        if in_this_process:
            target, options["callback"] = _returning(target), _sorting(options["callback"], fail)
        for name in _CALLBACKS:
            if options.get(name) is not None:
                options[name] = _caught(options[name], request, end)
        return apply_async(target, *args, **options)

    return apply_and_catch


def _returning(target: Callable[..., Any]) -> Callable[..., Any]:
    """Return *target*, which returns what it raises."""

    def call(*args: Any, **options: Any) -> Any:
        try:
            return target(*args, **options)
        except Exception:  # noqa: BLE001  # Celery handles any
            return ExceptionInfo()

    return call


def _sorting(succeed: Callable[..., Any], fail: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda ended: (fail if isinstance(ended, ExceptionInfo) else succeed)(ended)


def _caught(
    callback: Callable[..., Any], request: Any, end: Callable[[Any, Exception], None]
) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        try:
            return callback(*args, **options)
        except Exception as exc:  # noqa: BLE001  # whatever it is, it is about this request
            end(request, exc)
            return None

    return call
