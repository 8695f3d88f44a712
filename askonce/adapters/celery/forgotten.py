"""Gives back the messages that a worker holds although nothing runs for them any more.

A worker holds a message until its job has ended. Under faults, one was seen to be held for ever although the
worker had nothing to do. It takes one of the worker's places, and no other worker gets the job.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

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
#: A job that was given back is looked for twice as long the next time, and so often at most.
_DOUBLED: Final = 6


class Forgotten:
    """Looks after what one *consumer* holds; runs in its loop's thread, from one connection to the next."""

    def __init__(self, consumer: Any) -> None:
        """Know of nothing that was forgotten."""
        self._consumer = consumer
        #: How many looks in a row found each message, by its delivery tag.
        self._times: dict[object, int] = {}
        #: How often each job was given back.
        self._given_back: Counter[str] = Counter()

    def look(self) -> None:
        """Give back what each of the last looks found."""
        try:
            lost = {request._message.delivery_tag: request for request in self._lost_by_the_pool()}  # noqa: SLF001  # Celery shows it nowhere else
            unknown = {message.delivery_tag: message for message in self._without_a_request()}
        except RuntimeError:  # a set changed in another thread: the next look is early enough
            return
        self._times = {tag: self._times.get(tag, 0) + 1 for tag in (*lost, *unknown)}
        for tag, request in lost.items():
            if self._is_due(tag, request.id):
                self._give_back(request)
        for tag, message in unknown.items():
            task, job = message.headers["task"], str(message.headers.get("id"))
            if self._is_due(tag, job):
                put_first(message)
                self._report(message, task, job, "unknown")

    def _is_due(self, tag: object, job: str) -> bool:
        if self._times[tag] < LOOKS << min(_DOUBLED, self._given_back[job]):
            return False
        # A broker may give the same tag to its next delivery.
        del self._times[tag]
        self._given_back[job] += 1
        return True

    def _lost_by_the_pool(self) -> Iterator[Any]:
        """Return the requests that the pool has, and none of its free processes runs."""
        active, reserved = set(state.active_requests), set(state.reserved_requests)
        if len(active) >= self._consumer.pool.num_processes:
            return
        for request in reserved - active - self._before_the_pool():
            # The name of a message may be any: its type is the task.
            if not request.acknowledged and self._is_ours(request.type):
                yield request

    def _before_the_pool(self) -> set[Any]:
        """Return the requests that wait for one of the slots of a prefork pool."""
        if not self._consumer.pool.uses_semaphore:
            return set()
        return {request for _, (request, *_), _ in list(self._consumer.controller.semaphore._waiting)}  # noqa: SLF001  # the same

    def _without_a_request(self) -> Iterator[Any]:
        """Return the messages that nothing here waits for; only our own transport knows what is held."""
        qos: Any = getattr(self._consumer.task_consumer.channel, "qos", None)
        if not hasattr(qos, "held"):
            return
        known = {request._message.delivery_tag for request in self._requests()}  # noqa: SLF001  # the same
        known |= self._consumer.app.askonce.paused_queues.returned
        for tag in qos.held():
            message = qos.get(tag)
            if tag not in known and self._is_ours(_headers(message).get("task")):
                yield message

    def _requests(self) -> Iterator[Any]:
        """Return all that run, or wait for a process, for their time or for the rate limit of their task."""
        yield from state.active_requests
        yield from state.reserved_requests
        yield from state.scheduled_requests  # type: ignore[attr-defined]  # not in the stubs
        for bucket in self._consumer.task_buckets.values():
            for request, _tokens in bucket.contents if bucket else ():
                yield request

    def _is_ours(self, task: object) -> bool:
        """Return whether messages of *task* may be delivered twice: the record answers the second one."""
        return isinstance(task, str) and hasattr(self._consumer.app.tasks.get(task), "job_spec")

    def _give_back(self, request: Any) -> None:
        """Give back the message of *request*, and the slot that it took on its way to the pool."""
        put_first(request._message)  # noqa: SLF001  # the same
        # The pool may run it after all: a copy, which the record answers.
        request.acknowledged = True
        task_ready(request)
        result = request._apply_result and request._apply_result()  # noqa: SLF001  # the same
        if hasattr(result, "discard"):
            result.discard()
        if self._consumer.pool.uses_semaphore:
            self._consumer.controller.semaphore.release()
        self._report(request._message, request.type, request.id, "waiting")  # noqa: SLF001  # the same

    def _report(self, message: Any, task: str, job: str, found: str) -> None:
        headers = _headers(message)
        header = (headers.get("headers") or headers).get(HEADER)
        about = Subject(task=task, key=header["key"] if is_identity(header) else "", id=job)
        queue = routing_key_of(message.delivery_info)
        emit(self._consumer.app.askonce.listen, EventType.MESSAGE_FORGOTTEN, about, queue=queue, state=found)


def _headers(message: Any) -> dict[str, Any]:
    return message.headers if isinstance(message.headers, dict) else {}


class ForgottenStep(StartStopStep):
    """Looks from time to time while the consumer is connected."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **_: Any) -> None:
        """Have no timer yet."""
        # Without a loop, the timer has a thread of its own: it may not acknowledge.
        self.enabled = parent.hub is not None
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Begin anew: what an earlier connection delivered, it took along."""
        self._timer = parent.timer.call_repeatedly(LOOK, Forgotten(parent).look)

    def stop(self, parent: Any) -> None:
        """Look no more."""
        if self._timer is not None:
            parent.timer.cancel(self._timer)
