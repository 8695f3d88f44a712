"""Who works: the Celery app and what its processes hold."""
