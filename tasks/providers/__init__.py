"""The external services, each behind one adapter."""
