"""Sends the events of jobs to monitors in groups.

Celery sends at each turn of its loop what happened since the last one, and nearly each event makes the loop
turn. For short jobs, these messages took a third of a worker's processor time.

Only the loop's own thread sends them. Celery lets the thread that brings the 24th event send the group, while
the loop reads from the same connection: on RabbitMQ, the loop took the confirmation away from that thread. It
then waited for one until its time limit, and the whole worker with it.
"""

from __future__ import annotations

import sys
from typing import Any

from celery.bootsteps import StartStopStep
from celery.worker.consumer.events import Events

#: Seconds for which an event waits for others.
WAIT = 0.1


class GroupedEventsStep(StartStopStep):
    """Lets the events of a consumer wait for each other."""

    requires = (Events,)

    def __init__(self, parent: Any, **_: Any) -> None:  # noqa: ANN401  # Celery's signature
        """Take the place of what *parent* does when an event is there to be sent."""
        self._consumer, self._send_soon = parent, parent.on_send_event_buffered
        self._is_running = self._is_waiting = False
        self._sender: Any = None
        self._limit = 0
        parent.on_send_event_buffered = self._send_later

    def start(self, parent: Any) -> None:  # noqa: ANN401  # Celery's signature
        """Let events wait from now on, however many; the timer of a lost connection may be lost too."""
        self._is_running, self._is_waiting = True, False
        self._sender = parent.event_dispatcher
        self._limit, self._sender.buffer_limit = self._sender.buffer_limit, sys.maxsize

    def stop(self, parent: Any) -> None:  # noqa: ANN401, ARG002  # Celery's signature
        """Send what waits: the loop may not turn again. While it stands, any thread may send."""
        if not self._is_running:
            return
        self._is_running = False
        self._sender.buffer_limit = self._limit
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
