"""Reads meetings with a language model."""
