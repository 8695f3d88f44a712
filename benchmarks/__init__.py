"""Measures askonce beside plain Celery and the two libraries that refuse duplicates."""
