"""Notes that say who wrote them."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import click

from askonce.cli.printed import echo

if TYPE_CHECKING:
    from askonce.audit import Act
    from askonce.store import Store


def signed(note: str, most: int) -> str:
    """Return *note* behind the user and the host of this process; refuse one that would be cut at *most*."""
    whole = by_whom(user_at_host(), note)
    if len(whole) > most:
        raise click.UsageError(f"--note: is {len(whole) - most} characters too long")
    if not whole.isprintable():
        raise click.UsageError("--note: must be one line of printable characters")
    return whole


def by_whom(who: str, note: str) -> str:
    """Return *note* behind its writer."""
    return ": ".join(filter(None, (who, note)))


def write_down(store: Store, act: Act, what: str, note: str = "") -> None:
    """Keep in the audit that this process is about to do *act*.

    A full store keeps no entry. What makes room there, or ends a hold, follows all the same; that is told.

    Raises:
        StoreUnavailable: the store did not keep it: the act must not follow.
    """
    from askonce.audit import ROOM_MAKING, Entry
    from askonce.errors import StoreUnavailable
    from askonce.line import one_line

    try:
        store.audit.note(Entry(who=user_at_host(), act=act, what=one_line(what), note=note))
    except StoreUnavailable as refused:
        if refused.reason != "oom" or act not in ROOM_MAKING:
            raise
        echo(f"the store is full: the audit has no entry of this {act}", err=True)


def user_at_host() -> str:
    """Return who runs this process, and where."""
    import getpass

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that nobody named.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
