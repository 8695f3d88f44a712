"""Cached functions: paid once, over threads, processes and machines."""
