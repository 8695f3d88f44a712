"""Refuses a body that does not fit its task, where that is written: Celery makes most tasks later."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any

from askonce.spec import JobSpec

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


def require_taken(name: str, body: Callable[..., Any], spec: object) -> None:
    """Check that the *body* of the task *name* takes each field that its *spec* shows.

    Raises:
        ValueError: names the field.
    """
    if not isinstance(spec, JobSpec) or not spec.shown:
        return
    taken = inspect.signature(body).parameters
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in taken.values()):
        return
    unknown = next((each for each in spec.shown if each not in taken), None)
    if unknown is not None:
        raise ValueError(f"task {name}: shown names {unknown!r}, and its function takes no such field")


def check_bodies(app: Celery) -> None:
    """Check the body of each task of such a class that ``app.task`` registers from now on."""
    task: Any = app.task

    @wraps(task)
    def checked(*args: Any, **options: Any) -> Any:
        made, kind = task(*args, **options), options.get("base")
        if args or not (isinstance(kind, type) and issubclass(kind, PlainBody)):
            return made

        def register(body: Any) -> Any:
            name = options.get("name") or body.__name__
            require_plain(name, body)
            require_taken(name, body, options.get("spec"))
            return made(body)

        return register

    app.task = checked  # type: ignore[method-assign]  # Celery has no hook before a task is made
