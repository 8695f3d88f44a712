"""Schedules: entries, each a query and a policy, whose slots fire once however many schedulers run."""
