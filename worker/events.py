"""Sends the events of jobs to monitors in groups.

Celery sends at each turn of its loop what happened since the last one, and nearly each event makes the loop
turn. For short jobs, these messages took a third of a worker's processor time.

While the loop turns, only its own thread sends them. Celery lets the thread that brings the 24th event send
the group, while the loop reads from the same connection: on RabbitMQ, the loop took the confirmation away
from that thread. It then waited for one until its time limit, and the whole worker with it.

When the worker ends, its jobs end after its loop. Celery sends their events when the last job has ended: if
the worker is killed before that, monitors show all of these jobs as running for ever. And Celery forgets the
events that wait when the connection is lost.
"""

from __future__ import annotations

import sys
from threading import Timer
from typing import Any

from celery.bootsteps import CLOSE, StartStopStep  # type: ignore[attr-defined]  # its stubs lack CLOSE
from celery.worker.consumer.events import Events

#: Seconds for which an event waits for others.
WAIT = 0.1
#: Celery's name of the events that wait.
_GROUP = "task"


class GroupedEventsStep(StartStopStep):
    """Lets the events of a consumer wait for each other."""

    requires = (Events,)

    def __init__(self, parent: Any, **_: Any) -> None:  # noqa: ANN401  # Celery's signature
        """Take the place of what *parent* does when an event is there to be sent."""
        # Without a loop, Celery sends each event at once.
        self.enabled = parent.hub is not None
        self._consumer, self._dispatcher = parent, parent.event_dispatcher
        self._is_waiting, self._send_soon = False, _wait
        parent.on_send_event_buffered = self._send_later

    def start(self, parent: Any) -> None:  # noqa: ANN401  # Celery's signature
        """Let events wait from now on, however many; send those of a lost connection on this one."""
        lost, self._dispatcher = self._dispatcher, parent.event_dispatcher
        if self._dispatcher is None:
            return
        self._dispatcher.buffer_limit = sys.maxsize
        if lost:
            # Celery takes over only what it tried to send.
            self._dispatcher._group_buffer[_GROUP] += lost._group_buffer.pop(_GROUP, [])  # noqa: SLF001
        # A timer of the lost connection may be lost too.
        self._is_waiting, self._send_soon = False, self._ask_the_loop
        self._send_later()

    def stop(self, parent: Any) -> None:  # noqa: ANN401  # Celery's signature
        """Send without the loop from now on, if the worker ends; after a lost connection, `start` sends."""
        ends = parent.blueprint.state == CLOSE
        self._is_waiting, self._send_soon = False, self._start_a_thread if ends else _wait
        self._send_later()

    def shutdown(self, parent: Any) -> None:  # noqa: ANN401, ARG002  # Celery's signature
        """Send what the last jobs brought; Celery closes the connection next."""
        self._send()

    def _send_later(self) -> None:
        """Send the events in a moment; called in any thread."""
        if not self._is_waiting:
            self._is_waiting = True
            self._send_soon()

    def _ask_the_loop(self) -> None:
        hub = self._consumer.hub
        # Only the loop's own thread may set its timer.
        hub.call_soon(hub.call_later, WAIT, self._send)

    def _start_a_thread(self) -> None:
        sender = Timer(WAIT, self._send)
        sender.daemon = True
        sender.start()

    def _send(self) -> None:
        # In this order: an event that comes now is sent here, or waits anew.
        self._is_waiting = False
        self._consumer._flush_events()  # noqa: SLF001  # what its loop would call


def _wait() -> None:
    """Leave the events where they are."""
