"""Announces one worker to the store again and again, from a thread, until it stops."""

from __future__ import annotations

from threading import Condition
from typing import TYPE_CHECKING

from askonce.announcements import INTERVAL, KEPT_FOR
from askonce.background import start_thread
from askonce.events import EventType, Listener, emit, ignore

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread

    from askonce.announcements import Announcement, Announcements


class Announcer:
    """The announcer of one process."""

    def __init__(
        self,
        announcements: Announcements,
        *,
        listen: Listener = ignore,
        interval: float = INTERVAL,
        kept_for: float = KEPT_FOR,
    ) -> None:
        """Announce once in *interval* seconds; each announcement lasts *kept_for* seconds."""
        self._announcements, self._listen = announcements, listen
        self._interval, self._kept_for = interval, kept_for
        self._changed = Condition()
        self._due, self._stopped = True, False
        self._failed = False
        self._thread: Thread | None = None
        self._worker = ""

    def start(self, describe: Callable[[], Announcement | None]) -> None:
        """Announce what *describe* returns from now on; None announces nothing."""
        self._thread = start_thread("askonce-announcer", lambda: self._run(describe), self._listen)

    def announce_soon(self) -> None:
        """Announce now, in the thread: something has changed."""
        with self._changed:
            self._due = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread and withdraw the worker; a worker that was never announced is left alone."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        if self._worker:
            self._try(lambda: self._announcements.withdraw(self._worker))

    def _run(self, describe: Callable[[], Announcement | None]) -> None:
        while self._wait():
            self._try(lambda: self._announce(describe()))

    def _announce(self, announcement: Announcement | None) -> None:
        if announcement is not None:
            self._worker = announcement.worker
            self._announcements.announce(announcement, self._kept_for)

    def _wait(self) -> bool:
        """Block until the next announcement is due; return whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: self._due or self._stopped, self._interval)
            self._due = False
            return not self._stopped

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001  # a worker works without its announcement
            # Once for each outage: the next announcement is a few seconds away.
            if not self._failed:
                emit(self._listen, EventType.WORKER_UNANNOUNCED, reason=type(error).__name__)
            self._failed = True
        else:
            self._failed = False
