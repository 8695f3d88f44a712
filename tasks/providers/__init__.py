"""The services outside, each behind one adapter."""
