"""The task that looks up what other tasks share."""
