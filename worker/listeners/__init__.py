"""Who listens to events in a worker."""
