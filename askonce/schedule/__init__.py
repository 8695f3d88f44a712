"""Schedules: entries, each a query and a policy, whose slots fire once however many schedulers run."""

from askonce.schedule.entry import DeadLetters, Entry, GoingStale, Policy, StoredFile, StoredRun
from askonce.schedule.slots import Cron, Every

__all__ = [
    "Cron",
    "DeadLetters",
    "Entry",
    "Every",
    "GoingStale",
    "Policy",
    "StoredFile",
    "StoredRun",
]
