"""Jobs as Celery tasks."""
