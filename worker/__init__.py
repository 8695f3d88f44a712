"""The worker: the Celery app and what its processes hold."""
