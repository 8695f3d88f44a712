"""Local stand-ins for the external services."""
