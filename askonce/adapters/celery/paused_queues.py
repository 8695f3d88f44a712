"""Stops a worker's consumer from taking messages of paused queues: those keep their messages and their order.

The store knows the pauses, and every worker applies them by itself: also one that starts later, and after its
connection to the broker was lost. A queue that an operator cancelled (``cancel_consumer``) stays cancelled.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

from celery.bootsteps import StartStopStep
from celery.exceptions import Reject
from celery.worker import state

from askonce.adapters.celery.routing_key import routing_key_of
from askonce.adapters.kombu.put_first import put_first
from askonce.controls import Pause, note_of_queue
from askonce.events import EventType, emit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery import Celery

#: Shown where a message was given back before its worker knew the pause.
_UNKNOWN = "paused"


class Returned(Reject):
    """The message goes back to its queue, which is paused."""

    def __init__(self, reason: str = "paused", requeue: bool = True) -> None:  # noqa: FBT001, FBT002  # Celery's signature
        super().__init__(reason, requeue)


class _NoTracebacks(logging.Filter):
    """Celery logs a traceback for each message that goes back; a pause is no error."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the line, without the traceback."""
        if record.exc_info and isinstance(record.exc_info[1], Returned):
            record.exc_info = record.exc_text = None
        return True


_NO_TRACEBACKS = _NoTracebacks()


def log_no_traceback() -> None:
    """Leave tracebacks of messages that go back out of the log of this process and its children."""
    logging.getLogger("celery.app.trace").addFilter(_NO_TRACEBACKS)


class PausedQueues:
    """The queues of one worker that its consumer leaves alone; all but ``apply_soon`` runs in its thread."""

    def __init__(self, app: Celery) -> None:
        """Leave none alone until a consumer starts."""
        self._app: Any = app
        self._consumer: Any = None
        self._cancel: Callable[[str], None] = lambda _queue: None
        self._add: Callable[[str], None] = lambda _queue: None
        #: The queues that are left alone, each with the note of its pause.
        self._held: dict[str, str] = {}
        self._pauses: Mapping[Pause, str] = {}
        #: Messages that go back, and how many they were at the last look.
        self._returned: list[Any] = []
        self._known = 0

    @property
    def held(self) -> tuple[str, ...]:
        """Queues of this worker that it takes messages from when their pause ends."""
        return tuple(self._held)

    @property
    def returned(self) -> set[object]:
        """The delivery tags of messages that wait here to go back to their queue."""
        return {message.delivery_tag for message in self._returned}

    def follow(self, consumer: Any) -> None:
        """Apply pauses to *consumer* from now on; it consumes nothing yet."""
        self._consumer, self._cancel, self._add = (
            consumer,
            consumer.cancel_task_queue,
            consumer.add_task_queue,
        )
        consumer.cancel_task_queue = self._cancelled_by_others(consumer.cancel_task_queue)
        consumer.add_task_queue = self._added_by_others(consumer.add_task_queue)

    def apply_soon(self, pauses: Mapping[Pause, str]) -> None:
        """Apply *pauses* in the consumer's thread, if that changes anything; called in any thread."""
        consumer = self._consumer.task_consumer
        if consumer is None:
            return  # not connected: the pauses are applied before it consumes again
        if self._returned:
            self._consumer.call_soon(self._put_back)
        taken = {queue.name for queue in consumer.queues}
        paused, held = self._paused(pauses, consumer).keys(), set(self.held)
        if pauses != self._pauses or taken & paused or held - paused:
            self._consumer.call_soon(self.apply, pauses)

    def apply(self, pauses: Mapping[Pause, str]) -> None:
        """Cancel what is paused, and consume again what is not paused any more."""
        self._pauses = pauses
        consumer = self._consumer.task_consumer
        if consumer is None:
            return
        paused = self._paused(pauses, consumer)
        self._hold(consumer, paused)
        over = [name for name in self.held if name not in paused]
        if over:
            self._put_back_now()
        for name in over:
            # The connection may be lost here: what is held until it succeeds is tried again.
            self._add(name)
            del self._held[name]
        if over:
            emit(self._app.askonce.listen, EventType.WORKER_RESUMED, queues=",".join(sorted(over)))

    def give_back(self, request: Any) -> None:
        """Put the message of *request* in front of its queue, which is paused; called in any thread."""
        self._consumer.call_soon(self._give_back, request)

    def _give_back(self, request: Any) -> None:
        consumer, came_by = self._consumer.task_consumer, _came_by(request)
        if consumer is not None:
            queues = [queue.name for queue in consumer.queues if came_by & self._names_of(queue)]
            # First: a message that goes back would be the next one that comes.
            self._hold(consumer, dict.fromkeys(queues, _UNKNOWN))
        self._returned.append(request._message)  # noqa: SLF001  # Celery shows it nowhere else

    def _put_back(self) -> None:
        """Put back what was returned, once no other message may follow that was behind it.

        None of a paused queue waits here for a slot, and none was returned since the last look: a pool may
        have one that does not know yet whether it may start.
        """
        if self._known != len(self._returned):
            self._known = len(self._returned)
            return
        known = self._app.amqp.queues
        held = {each for name in self.held if name in known for each in self._names_of(known[name])}
        try:
            waiting = set(state.reserved_requests) - set(state.active_requests)
        except RuntimeError:  # a set changed in another thread: the next look is early enough
            return
        if not any(_came_by(request) & held for request in waiting):
            self._put_back_now()

    def _put_back_now(self) -> None:
        returned, self._returned, self._known = self._returned, [], 0
        # The last one first: what was the first of its queue is the first again.
        for message in reversed(returned):
            # Its channel may be closed: then the broker has put it back.
            with suppress(Exception):
                put_first(message)

    def _hold(self, consumer: Any, queues: Mapping[str, str]) -> None:
        taken = {queue.name for queue in consumer.queues}
        for name, note in queues.items():
            if name in taken:
                self._held[name] = note
                self._cancel(name)
                emit(self._app.askonce.listen, EventType.WORKER_PAUSED, queues=name, note=note)

    def _paused(self, pauses: Mapping[Pause, str], consumer: Any) -> dict[str, str]:
        known = {queue.name: queue for queue in consumer.queues}
        known |= {name: self._app.amqp.queues[name] for name in self.held if name in self._app.amqp.queues}
        found = {name: note_of_queue(pauses, self._names_of(queue)) for name, queue in known.items()}
        return {name: note for name, note in found.items() if note is not None}

    def _names_of(self, queue: Any) -> set[str]:
        """Return what records may call *queue*: also its routing key, where that is no other queue's.

        Celery gives its default key to each queue that has none.
        """
        name, key = str(queue.name), str(queue.routing_key or queue.name)
        others = [each for each in list(self._app.amqp.queues.values()) if each.name != name]
        return {name} if any(key in (each.name, each.routing_key) for each in others) else {name, key}

    def _cancelled_by_others(self, cancel: Callable[..., object]) -> Callable[..., object]:
        @wraps(cancel)
        def cancelled(queue: str) -> object:
            self._held.pop(queue, None)
            return cancel(queue)

        return cancelled

    def _added_by_others(self, add: Callable[..., object]) -> Callable[..., object]:
        @wraps(add)
        def added(*args: Any, **options: Any) -> object:
            done = add(*args, **options)
            self.apply(self._pauses)
            return done

        return added


class PauseStep(StartStopStep):
    """Looks for pauses in each worker's main process, from start to stop."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """Begin to look; the consumer is there and has no queue yet."""
        once = parent.app.askonce
        once.paused_queues.follow(parent.consumer)
        once.process().pause_watch.start(once.paused_queues.apply_soon)

    def stop(self, parent: Any) -> None:
        """Look no more."""
        parent.app.askonce.process().pause_watch.stop()

    terminate = stop


class PauseAtStartStep(StartStopStep):
    """Applies the pauses at each connection, before the first message is taken."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Look once, and apply what holds."""
        once = parent.app.askonce
        pauses = once.process().pause_watch.look()
        if pauses is not None:
            once.paused_queues.apply(pauses)


def _came_by(request: Any) -> set[str]:
    """Return what the queue of a message may be called."""
    where = request.delivery_info
    return {str(name) for name in (where.get("queue"), routing_key_of(where)) if name}
