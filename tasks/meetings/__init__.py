"""What a language model reads out of a meeting."""
