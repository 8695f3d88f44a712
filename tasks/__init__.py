"""What work exists: the catalog and the task bodies."""
