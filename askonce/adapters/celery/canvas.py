"""Carries options into the calls that ``chunks``, ``map`` and ``starmap`` make, where Celery drops them."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from celery.canvas import chunks

from askonce.adapters.celery.header import with_own_options
from askonce.adapters.celery.ways import OF_APPLY, require_usable

if TYPE_CHECKING:
    from celery import Task


class Chunks(chunks):
    """``task.chunks(...)``; each of its messages has the options that ``set`` gave it."""

    def group(self) -> Any:
        """Return the group that is sent, a message for each part."""
        made = super().group()
        for part in made.tasks:
            part.set(**self.options)
        return made


def carry_to_items(task: Task[..., Any]) -> None:
    """Let ``apply`` of Celery's *task* take askonce's own options; an eager ``apply_async`` calls it too."""
    apply: Any = task.apply

    @wraps(apply)
    def carrying(*arguments: Any, **options: Any) -> Any:
        require_usable({name: value for name, value in options.items() if name not in OF_APPLY})
        return apply(*arguments, **with_own_options(options))

    task.apply = carrying  # type: ignore[method-assign]  # Celery has no hook that may refuse an option
