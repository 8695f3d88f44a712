"""Numbers of things as people read them."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """Return ``1 job`` or ``1,200 jobs``."""
    return f"{number:,} {what}{'s' * (number != 1)}"
