"""Notes that say who wrote them."""

from __future__ import annotations

import os
import socket

import click


def signed(note: str, most: int) -> str:
    """Return *note* behind the user and the host of this process; refuse one that would be cut at *most*."""
    whole = ": ".join(filter(None, (user_at_host(), note)))
    if len(whole) > most:
        raise click.UsageError(f"--note: is {len(whole) - most} characters too long")
    if not whole.isprintable():
        raise click.UsageError("--note: must be one line of printable characters")
    return whole


def user_at_host() -> str:
    """Return who runs this process, and where."""
    import getpass

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that nobody named.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
