"""Where the engine meets Redis, Celery and memory: the only place with vendor imports."""
