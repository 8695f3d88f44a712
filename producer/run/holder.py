"""Who has a run: a name for people, and what no other producer has."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Final

from askonce.cli.signed import user_at_host
from askonce.line import one_line
from askonce.runs import NAME_KEPT

#: Digits of the place in a holder, and of what is drawn at random.
_PLACE, _DRAWN = 8, 8
#: Characters of user and host.
_NAMED: Final = NAME_KEPT - 40


def new_holder() -> str:
    """Return who a start of this process is: ``ana@laptop:4242``, then its place and random digits."""
    named = one_line(user_at_host()[:_NAMED])
    return f"{named}:{os.getpid()} {_place()}{token_hex(_DRAWN // 2)}"


def is_gone(holder: str) -> bool:
    """Return whether *holder* was a process of this place that has ended."""
    named, _, mark = holder.rpartition(" ")
    pid = named.rpartition(":")[2]
    if mark[:_PLACE] != _place() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        # It is there, and another user's.
        return False
    return False


def _place() -> str:
    """Return what tells this machine or container, in which a process has its number, from its namesakes."""
    words = [socket.gethostname()]
    with suppress(OSError):  # Linux has both
        words += [
            Path("/proc/sys/kernel/random/boot_id").read_text("ascii"),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return sha256(chr(0).join(words).encode(errors="surrogateescape")).hexdigest()[:_PLACE]
