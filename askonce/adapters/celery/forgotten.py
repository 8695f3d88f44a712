"""Gives back the messages that a worker holds although nothing runs for them any more.

A worker holds a message until its job has ended. Under faults, one was seen to be held when its job was over,
or on its way to a pool that had nothing to do. Such a message takes one of the worker's places until the
worker ends, and no other worker gets the job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery.bootsteps import StartStopStep
from celery.worker import state
from celery.worker.state import task_ready

from askonce.adapters.celery.header import HEADER, is_identity
from askonce.adapters.celery.routing_key import routing_key_of
from askonce.adapters.kombu.put_first import put_first
from askonce.events import EventType, Subject, emit

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds between two looks, and how many of them in a row must find the same.
LOOK: Final = 5.0
LOOKS: Final = 9


class _Forgotten(NamedTuple):
    """A message, and the request that Celery made of it; None where it has none any more."""

    message: Any
    request: Any


class Forgotten:
    """Looks after what one *consumer* holds; runs in its loop's thread, from one connection to the next."""

    def __init__(self, consumer: Any) -> None:
        """Know of nothing that was forgotten."""
        self._consumer = consumer
        #: How many looks in a row found the message of each delivery tag.
        self._times: dict[object, int] = {}

    def look(self) -> None:
        """Give back what was found at each of the last looks."""
        try:
            found = {each.message.delivery_tag: each for each in self._find()}
        except RuntimeError:  # a set changed in another thread: the next look is early enough
            return
        self._times = {tag: self._times.get(tag, 0) + 1 for tag in found}
        for tag, forgotten in found.items():
            if self._times[tag] >= LOOKS:
                self._give_back(forgotten)

    def _find(self) -> Iterator[_Forgotten]:
        """Return what waits for a place although one is free, and what nothing waits for."""
        active, reserved = set(state.active_requests), set(state.reserved_requests)
        if len(active) < self._consumer.pool.num_processes:
            for request in reserved - active:
                if not request.acknowledged and self._is_ours(request.name):
                    yield _Forgotten(request._message, request)  # noqa: SLF001  # Celery shows it nowhere else
        known = {request._message.delivery_tag for request in (*active, *reserved, *self._waiting())}  # noqa: SLF001  # the same
        known |= self._consumer.app.askonce.paused_queues.returned
        for message in self._held():
            if message.delivery_tag not in known and self._is_ours(_headers(message).get("task")):
                yield _Forgotten(message, None)

    def _waiting(self) -> Iterator[Any]:
        """Return the requests that wait for their time, or for the rate limit of their task."""
        yield from list(state.scheduled_requests)  # type: ignore[attr-defined]  # not in the stubs
        for bucket in self._consumer.task_buckets.values():
            for request, _tokens in list(bucket.contents) if bucket else ():
                yield request

    def _held(self) -> list[Any]:
        """Return the messages that are not acknowledged; of RabbitMQ, only the server knows them."""
        qos: Any = getattr(self._consumer.task_consumer.channel, "qos", None)
        return [qos.get(tag) for tag in qos.held()] if hasattr(qos, "held") else []

    def _is_ours(self, task: object) -> bool:
        """Return whether messages of *task* may be delivered twice: the record answers the second one."""
        return isinstance(task, str) and hasattr(self._consumer.app.tasks.get(task), "job_spec")

    def _give_back(self, forgotten: _Forgotten) -> None:
        message, request = forgotten
        if request is not None:
            # Should it run after all, nothing is left to acknowledge.
            request.acknowledged = True
            task_ready(request)
            if self._consumer.pool.uses_semaphore:
                # The place that it took on its way to the pool. A release too many is harmless.
                self._consumer.controller.semaphore.release()
        emit(
            self._consumer.app.askonce.listen,
            EventType.MESSAGE_FORGOTTEN,
            _subject(message),
            queue=routing_key_of(message.delivery_info),
            state="ended" if request is None else "waiting",
        )
        put_first(message)


class ForgottenStep(StartStopStep):
    """Looks from time to time while the consumer is connected."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **_: Any) -> None:
        """Have no timer yet."""
        # Without a loop, the timer has a thread of its own, and Celery no pool that could forget.
        self.enabled = parent.hub is not None
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Begin anew: what an earlier connection delivered, it took along."""
        self._timer = parent.timer.call_repeatedly(LOOK, Forgotten(parent).look)

    def stop(self, parent: Any) -> None:
        """Look no more."""
        if self._timer is not None:
            parent.timer.cancel(self._timer)


def _headers(message: Any) -> dict[str, Any]:
    return message.headers if isinstance(message.headers, dict) else {}


def _subject(message: Any) -> Subject:
    headers = _headers(message)
    header = (headers.get("headers") or headers).get(HEADER)
    return Subject(headers["task"], header["key"] if is_identity(header) else "", str(headers.get("id")))
