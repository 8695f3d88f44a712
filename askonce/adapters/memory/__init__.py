"""Records in one process."""
