"""Sends the events of jobs to monitors in groups.

Celery sends at each turn of its loop what happened since the last one, and nearly each event makes the loop
turn. For short jobs, these messages took a third of a worker's processor time.
"""

from __future__ import annotations

from typing import Any

from celery.bootsteps import StartStopStep
from celery.worker.consumer.events import Events

#: Seconds for which an event waits for others. Celery's own limit holds too: 24 of them do not wait.
WAIT = 0.1


class GroupedEventsStep(StartStopStep):
    """Lets the events of a consumer wait for each other."""

    requires = (Events,)

    def __init__(self, parent: Any, **_: Any) -> None:  # noqa: ANN401  # Celery's signature
        """Take the place of what *parent* does when an event is there to be sent."""
        self._consumer, self._send_soon = parent, parent.on_send_event_buffered
        self._is_running = self._is_waiting = False
        parent.on_send_event_buffered = self._send_later

    def start(self, parent: Any) -> None:  # noqa: ANN401, ARG002  # Celery's signature
        """Let events wait from now on; the timer of a lost connection may be lost too."""
        self._is_running, self._is_waiting = True, False

    def stop(self, parent: Any) -> None:  # noqa: ANN401, ARG002  # Celery's signature
        """Send what waits: the loop may not turn again."""
        self._is_running = False
        self._send()

    def _send_later(self) -> None:
        """Send the events in a moment; called in any thread."""
        if not self._is_running:
            self._send_soon()
        elif not self._is_waiting:
            self._is_waiting = True
            hub = self._consumer.hub
            # Only the loop's own thread may set its timer.
            hub.call_soon(hub.call_later, WAIT, self._send)

    def _send(self) -> None:
        # In this order: an event that comes now is sent here, or waits anew.
        self._is_waiting = False
        self._consumer._flush_events()  # noqa: SLF001  # what its loop would call
