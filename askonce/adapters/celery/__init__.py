"""Jobs as Celery tasks."""

from askonce.adapters.celery.app import AskOnce
from askonce.adapters.celery.task import IdempotentTask

__all__ = ["AskOnce", "IdempotentTask"]
