"""Runs a background thread that starts again when its work raises: leases and paid answers depend on it."""

from __future__ import annotations

from threading import Event as Signal
from threading import Thread
from typing import TYPE_CHECKING

from askonce.events import EventType, Listener, emit

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds before work that raised is started again.
_REST = 0.5


def start_thread(name: str, work: Callable[[], None], listen: Listener) -> Thread:
    """Run *work* in a daemon thread until it returns; an error is reported, and *work* starts again."""

    def run() -> None:
        while True:
            try:
                work()
            except Exception as error:  # noqa: BLE001  # whatever it is, the work must go on
                emit(listen, EventType.THREAD_RESTARTED, thread=name, reason=type(error).__name__)
                Signal().wait(_REST)
            else:
                return

    thread = Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def is_alive(thread: Thread | None) -> bool:
    """Return whether *thread* was started and has not ended."""
    return thread is not None and thread.is_alive()
