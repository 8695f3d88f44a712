"""The folder that a sandbox keeps: its records, its ledger, its logs, and the ports of its servers."""

import fcntl
import os
import shutil
from pathlib import Path
from typing import Self, TextIO

from sandbox.server import free_port

#: What a sandbox writes; nothing else of the folder is ever deleted.
_OWN = ("valkey", "ledger", "beat-schedule*", "*.log", "ports")


class FolderUnusable(RuntimeError):
    """Another sandbox runs in the folder, or nothing can be written there; the text says which."""


class Folder:
    """A folder with one sandbox at a time, a context manager. A process that is killed leaves it free."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / "pid").open("a+", encoding="ascii")
        except OSError as exc:
            raise FolderUnusable(f"{self.path}: {exc.strerror}") from exc
        try:
            self._lock = _locked(lock, self.path)
        except FolderUnusable:
            lock.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def clear(self) -> None:
        """Delete what earlier sandboxes left."""
        for pattern in _OWN:
            for path in self.path.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def port(self, name: str) -> int:
        """Return the port that *name* had before, where no other process has it now; else a free one."""
        file = self.path / "ports" / name
        known = file.read_text(encoding="ascii") if file.exists() else ""
        # A file that was cut off by a full disk names no port.
        port = free_port(int(known) if known.isdecimal() else 0)
        file.parent.mkdir(exist_ok=True)
        file.write_text(str(port), encoding="ascii")
        return port


def _locked(lock: TextIO, path: Path) -> TextIO:
    """Write this process's id into *lock*, whose lock the kernel releases when this process ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise FolderUnusable(f"{path}: process {lock.read().strip()} runs a sandbox there") from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
