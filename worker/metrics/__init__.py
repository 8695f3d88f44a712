"""The metrics of all processes: ``python -m worker metrics --serve :9808``."""
