"""The signs of life of one process: two files in a folder, which cost a probe no connection and no library.

``live`` is touched by the process's own loop, and holds the seconds after which it is too old. ``ready`` is
there while the process takes work.
"""

import os
import sys
import time
from pathlib import Path

#: Seconds between two touches, and after how many of them a loop counts as hanging: one that waits for a
#: server or a busy machine takes less.
INTERVAL, LIMIT = 2.0, 30.0
_LIVE, _READY = "live", "ready"


class Heartbeat:
    """Writes the signs of this process into *folder*, which no other process may use."""

    def __init__(self, folder: Path, *, limit: float = LIMIT) -> None:
        """Take away the signs of a process that ended; *limit* is the age in seconds that shows a hang.

        Raises:
            OSError: the folder cannot be made or written.
        """
        self._live, self._ready = folder / _LIVE, folder / _READY
        folder.mkdir(parents=True, exist_ok=True)
        self.unready()
        self._live.write_text(f"{limit:g}\n", encoding="ascii")

    def beat(self) -> None:
        """Show that the loop goes on. Without a file no probe succeeds: a full disk needs no error here."""
        try:
            os.utime(self._live)
        except OSError:
            return

    def ready(self) -> None:
        """Show that the process takes work."""
        self._ready.touch()

    def unready(self) -> None:
        """Show that it takes no more."""
        self._ready.unlink(missing_ok=True)


def new_heartbeat(*, limit: float = LIMIT) -> Heartbeat | None:
    """Return what writes this process's signs, or None without HEALTH_FOLDER; a bad one ends the process."""
    from settings.environment import EXIT_CONFIG, load  # the probe does not load them

    folder = load().health_folder
    if folder is None:
        return None
    try:
        return Heartbeat(folder, limit=limit)
    except OSError as error:
        sys.stderr.write(f"bad configuration: HEALTH_FOLDER: cannot be written ({error.strerror})\n")
        raise SystemExit(EXIT_CONFIG) from None


def trouble(folder: Path, *, ready: bool = False) -> str | None:
    """Return why the process that writes into *folder* is not live, or not *ready*; None where it is."""
    try:
        age = time.time() - (folder / _LIVE).stat().st_mtime
        limit = float((folder / _LIVE).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        return f"no sign of life in {folder}: {getattr(error, 'strerror', None) or 'an unreadable one'}"
    if age > limit:
        return f"the last sign of life is {age:.0f} s old: the loop hangs, or the process has ended"
    if ready and not (folder / _READY).exists():
        return "takes no work: it starts, or ends"
    return None
