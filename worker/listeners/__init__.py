"""The listeners of a worker's events."""
