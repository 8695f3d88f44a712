"""Loaded into a worker with -I: it looks for forgotten messages ten times a second."""

from askonce.adapters.celery import forgotten

forgotten.LOOK, forgotten.LOOKS = 0.1, 10
