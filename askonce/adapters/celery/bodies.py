"""Refuses a body that no worker can run, where its task is written: Celery makes most tasks later."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery


class PlainBody:
    """Marks classes of tasks whose bodies are plain functions."""


def require_plain(name: str, body: Callable[..., Any]) -> None:
    """Check the *body* of the task *name*.

    Raises:
        TypeError: it is a coroutine function, which no worker of Celery awaits.
    """
    if inspect.iscoroutinefunction(body) or inspect.isasyncgenfunction(body):
        raise TypeError(f"{name}: the body must be a plain function, not async def")


def check_bodies(app: Celery) -> None:
    """Check the body of each task of such a class that ``app.task`` registers from now on."""
    task: Any = app.task

    @wraps(task)
    def checked(*args: Any, **options: Any) -> Any:
        made, kind = task(*args, **options), options.get("base")
        if args or not (isinstance(kind, type) and issubclass(kind, PlainBody)):
            return made

        def register(body: Any) -> Any:
            require_plain(options.get("name") or body.__name__, body)
            return made(body)

        return register

    app.task = checked  # type: ignore[method-assign]  # Celery has no hook before a task is made
