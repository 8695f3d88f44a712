"""Transports for Celery's broker connection."""
