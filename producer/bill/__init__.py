"""The bill of a run: known before it, corrected by its first rows, and held while it runs."""
