"""What one process does while the store does not answer."""
