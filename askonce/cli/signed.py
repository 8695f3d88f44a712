"""Notes that say who wrote them."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import click

from askonce.cli.printed import echo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.audit import Act
    from askonce.store import Store

#: An entry names so many of what an act is done to, and so many digits of each key.
_NAMED, _DIGITS = 20, 16


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


def in_few_words(names: Sequence[str], what: str) -> str:
    """Return what one act is done to: a name, or how many they are and the first of them."""
    from askonce.cli.counted import counted
    from askonce.cli.keys import is_key

    if len(names) == 1:
        return names[0]
    first = [name[:_DIGITS] if is_key(name) else name for name in names[:_NAMED]]
    return " ".join([f"{counted(len(names), what)}:", *first, *(["..."] if names[_NAMED:] else [])])


def user_at_host() -> str:
    """Return who runs this process, and where; with sudo, who called it."""
    import getpass

    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that nobody named.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
