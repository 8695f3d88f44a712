"""Look-ups that other tasks share."""
