"""Enriches orders."""
