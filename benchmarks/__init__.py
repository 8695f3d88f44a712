"""Measures askonce: its speed beside other libraries, the size of its code, the moves of its reader."""
