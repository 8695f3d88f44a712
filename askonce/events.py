"""The list of events: everything that happens to a job, with its level and its fields.

Names and fields are public API. An event never carries a payload or an answer. A listener is a function of
one Event; ``askonce.log.log_event`` is the one that an app has by default.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from logging import DEBUG, INFO, WARNING
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from askonce.job import Job

log = logging.getLogger("askonce")


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """One kind of event: its public name, its log level, and its fields beside task, key and job."""

    name: str
    level: int = INFO
    fields: Mapping[str, object] = field(default_factory=dict)
    #: What caches call it; in its log line too, so that a search for either name finds it.
    also: str = ""


#: What the run's calls cost; each only where it is known.
_MAYBE_USD = (float, int, type(None))
_SPENT = {"usage": Mapping, "cost_usd": _MAYBE_USD, "maybe_billed": bool}
_DONE = {
    "outcome": str,
    "source": str,
    "reason": str,
    "age_seconds": float,
    "wait_seconds": (float, type(None)),
    "run_seconds": float,
    "cost_usd": _MAYBE_USD,
    "tokens": (int, type(None)),
    "attempts": int,
    "size": int,
    "ttl_seconds": float,
    "request_ids": str,
    "ids": tuple,
}


class EventType(Enum):
    """Every kind of event."""

    # A caller enqueues, or calls inline.
    #: A new job: its message is sent next, or its call is made here.
    JOB_ADMITTED = _Kind("job.admitted", also="cache_miss")
    #: The answer that is there was too old for this caller; emitted beside ``job.admitted``.
    ANSWER_EXPIRED = _Kind("answer.expired", INFO, {"age_seconds": float}, also="cache_expired")
    #: An equal job is in flight; nothing is sent. *ignored* names the options that it does not take.
    JOB_ATTACHED = _Kind("job.attached", INFO, {"ignored": str})
    #: A fresh answer was served from the record.
    JOB_HIT = _Kind("job.hit", INFO, {"age_seconds": float}, also="cache_hit")
    #: A stale answer was served: a job makes it anew, or its key rests after a failure.
    JOB_STALE = _Kind("job.stale", INFO, {"age_seconds": float, "stale_seconds": float}, also="cache_stale")
    #: A kept failure answered; also one more message of the job that failed.
    JOB_NEGATIVE = _Kind("job.negative", INFO, {"kind": str, "reason": str})
    #: The key rests after a failure.
    JOB_BACKOFF = _Kind("job.backoff", INFO, {"wait_seconds": float})
    #: The key belongs to another payload.
    JOB_CONFLICT = _Kind("job.conflict")
    #: A fresh answer is there, but this process cannot read it.
    JOB_UNREADABLE = _Kind("job.unreadable", WARNING)
    #: No worker held the job: its message is sent again, or its call is made here.
    JOB_RESENT = _Kind("job.resent", INFO, {"resends": int})
    #: The rest of a parked job is over: its message is sent again.
    JOB_RESUMED = _Kind("job.resumed", DEBUG)
    #: An answer's own time to live cannot be: the task's own holds. *ttl* is its text.
    ANSWER_TTL_REFUSED = _Kind("answer.ttl_refused", WARNING, {"ttl": str})
    #: The broker did not accept the message.
    JOB_SEND_FAILED = _Kind("job.send_failed", WARNING, {"resends": int, "reason": str})

    # A worker runs a job.
    #: The end of a job, by the process that ended it: one line for each job. *outcome* is done, unstored
    #: or a kind of failure. *age_seconds* is the answer's, *wait_seconds* from the enqueue to this start, and
    #: *run_seconds* this run's. *cost_usd* and *tokens* are what this run paid: sums count no cent twice. A
    #: stored answer has its *size* and *ttl_seconds*. *request_ids* is what services call this run's
    #: requests, *ids* what the spec shows of the payload.
    JOB_DONE = _Kind("job.done", INFO, _DONE, also="cache_set")
    #: The answer was stored. A source other than ``call`` is a fallback.
    JOB_COMPLETED = _Kind(
        "job.completed",
        DEBUG,
        {"attempt": int, "run_seconds": float, "cost_usd": _MAYBE_USD, "source": str},
    )
    #: One more message of a job, or a call while the store is down: the answer was there already.
    JOB_REUSED = _Kind("job.reused", INFO, {"source": str, "age_seconds": float})
    #: The message had nothing to do: busy, backoff, paused, superseded, absent, conflict or unreadable.
    JOB_SKIPPED = _Kind("job.skipped", INFO, {"outcome": str})
    #: The call failed and will be made again.
    JOB_DEFERRED = _Kind(
        "job.deferred",
        INFO,
        {"attempt": int, "reason": str, "after_seconds": float, "run_seconds": float, "request_ids": str}
        | _SPENT,
    )
    #: The provider takes no call now, or refused this one unpaid: the job is started again later.
    JOB_PARKED = _Kind("job.parked", DEBUG, {"reason": str, "after_seconds": float})
    #: The job ended without an answer. An answer that cannot be stored has the path and type of its part.
    JOB_FAILED = _Kind(
        "job.failed",
        WARNING,
        {"attempt": int, "kind": str, "reason": str, "run_seconds": float, "field": str, "value_type": str}
        | _SPENT,
    )
    #: The call was paid, and this part of what it cost cannot be kept: ``cost_usd``, ``usage.<count>``.
    JOB_SPEND_UNKNOWN = _Kind("job.spend_unknown", WARNING, {"field": str})
    #: The payload of a message that something else sent cannot be used.
    JOB_INVALID = _Kind("job.invalid", WARNING, {"field": str, "reason": str})
    #: The answer or failure came too late: another run holds the key, or the record is gone.
    JOB_FENCED = _Kind(
        "job.fenced",
        WARNING,
        {"attempt": int, "reason": str, "run_seconds": float, "request_ids": str} | _SPENT,
    )

    # Answers and the store.
    #: An answer, a failure or a job was removed from its record.
    ANSWER_CLEARED = _Kind("answer.cleared", also="cache_cleared")
    #: The first connection of this process to a server of the store.
    STORE_CONNECTED = _Kind("store.connected", INFO, {"server": str}, also="redis_connected")
    #: The answer could not be stored; this process keeps it until it can.
    JOB_UNSTORED = _Kind("job.unstored", WARNING, {"attempt": int, "run_seconds": float, **_SPENT})
    #: The store is back: the outcome of storing a kept answer.
    JOB_STORED_LATE = _Kind("job.stored_late", INFO, {"outcome": str, "late_seconds": float})
    #: The answer or failure was never stored: there was no room, the process ended before the store was back,
    #: or its record cannot be written.
    JOB_UNKEPT = _Kind("job.unkept", WARNING, {"reason": str})
    #: Answered, or sent, without the store, as the task's ``on_store_down`` allows.
    JOB_DEGRADED = _Kind("job.degraded", WARNING, {"policy": str, "source": str})
    #: Three calls in a row had no reply: callers are kept off the store.
    STORE_DOWN = _Kind("store.down", WARNING, also="redis_connection_failed")
    #: The store answered again.
    STORE_UP = _Kind("store.up", also="redis_connected")
    #: The store replied that it does not do it: it is full, has no replica, or does not permit it. Once a
    #: minute for each reason.
    STORE_REFUSED = _Kind("store.refused", WARNING, {"reason": str, "server": str})

    # A message that no worker can use is kept as a dead letter.
    #: Its body cannot be decoded.
    MESSAGE_UNDECODABLE = _Kind("message.undecodable", WARNING, {"size": int, "queue": str})
    #: No task of this name here. A job of ours stays on its record instead: then there is no size.
    MESSAGE_UNKNOWN_TASK = _Kind("message.unknown_task", WARNING, {"size": int, "queue": str})
    #: Its headers or its shape are not those of a task.
    MESSAGE_INVALID_TASK = _Kind("message.invalid_task", WARNING, {"size": int, "queue": str})
    #: Its arguments are not those of the task; emitted beside job.invalid.
    MESSAGE_INVALID_PAYLOAD = _Kind("message.invalid_payload", WARNING, {"size": int, "queue": str})
    #: An option of it cannot be honoured; emitted beside job.invalid.
    MESSAGE_INVALID_OPTION = _Kind("message.invalid_option", WARNING, {"size": int, "queue": str})
    #: Its key is not that of its payload.
    MESSAGE_IDENTITY_MISMATCH = _Kind("message.identity_mismatch", WARNING, {"size": int, "queue": str})
    #: It brings links, and its task takes none.
    MESSAGE_LINK_REFUSED = _Kind("message.link_refused", WARNING, {"size": int, "queue": str})
    #: The item in the queue is no message at all.
    MESSAGE_GARBAGE = _Kind("message.garbage", WARNING, {"size": int, "queue": str})
    #: The job belongs to another version of the task; its message is sent again later.
    MESSAGE_OTHER_VERSION = _Kind("message.other_version", WARNING, {"version": str})
    #: The store did not accept a dead letter; the message goes back to its queue.
    MESSAGE_UNKEPT = _Kind("message.unkept", WARNING, {"reason": str})

    # The process itself.
    #: The lease of a running job belongs to another owner.
    LEASE_LOST = _Kind("lease.lost", WARNING)
    #: Something else wrote to a job's record: the job can neither run nor end. Invalidate its key.
    RECORD_DAMAGED = _Kind("record.damaged", WARNING, {"reason": str})
    #: A sweep did not succeed; the next one tries again.
    REAPER_FAILED = _Kind("reaper.failed", WARNING, {"reason": str})
    #: The worker's announcement was not stored; emitted once until one is stored again.
    WORKER_UNANNOUNCED = _Kind("worker.unannounced", WARNING, {"reason": str})
    #: A pause holds for this queue of the worker, which takes no messages from it until the pause ends.
    WORKER_PAUSED = _Kind("worker.paused", WARNING, {"queues": str, "note": str})
    #: The pause is over: the worker takes messages from these queues again.
    WORKER_RESUMED = _Kind("worker.resumed", INFO, {"queues": str})
    #: The worker held a message for which nothing ran, and gave it back. By its *state* the job was
    #: ``waiting`` in the pool, which had a free process, or was ``unknown`` to Celery.
    MESSAGE_FORGOTTEN = _Kind("message.forgotten", WARNING, {"queue": str, "state": str})
    #: A provider accepts no call: all processes leave it alone, and one call at a time looks if it is back.
    #: Emitted once for all of them, by the process that found it.
    PROVIDER_AWAY = _Kind(
        "provider.away", WARNING, {"provider": str, "reason": str, "seconds": float, "cure": str}
    )
    #: It accepts calls again.
    PROVIDER_BACK = _Kind("provider.back", INFO, {"provider": str, "reason": str, "seconds": float})
    #: The store did not answer, so that this process paces its calls to a provider by itself.
    PACE_ALONE = _Kind("pace.alone", WARNING, {"reason": str})
    #: A job of the schedule succeeded, and the store did not note when: the metrics show an older time.
    SCHEDULE_UNNOTED = _Kind("schedule.unnoted", WARNING, {"entry": str, "reason": str})
    #: An *item* of a slot cannot be asked for, and the others go on; without one, nothing of its entry can.
    SCHEDULE_REFUSED = _Kind(
        "schedule.refused", WARNING, {"entry": str, "slot": str, "item": str, "reason": str}
    )
    #: A slot of an entry of the schedule is under way: its job was enqueued. Again where its scheduler died.
    SCHEDULE_SENT = _Kind("schedule.sent", INFO, {"entry": str, "slot": str})
    #: A slot does not fire: another one of its entry is under way (*reason* skip), or the entry is paused.
    SCHEDULE_SKIPPED = _Kind("schedule.skipped", INFO, {"entry": str, "slot": str, "reason": str})
    #: Slots passed while no scheduler ran, and do not fire.
    SCHEDULE_MISSED = _Kind("schedule.missed", WARNING, {"entry": str, "slot": str, "until": str})
    #: A slot ended: done or failed.
    SCHEDULE_ENDED = _Kind("schedule.ended", INFO, {"entry": str, "slot": str, "outcome": str})
    #: An entry fires no slot any more, until a person resumes it: a slot failed, or reached its ceiling.
    SCHEDULE_PAUSED = _Kind("schedule.paused", WARNING, {"entry": str, "note": str})
    #: The store does not answer this scheduler: its entries rest until it does. Emitted once until then.
    SCHEDULE_AWAY = _Kind("schedule.away", WARNING, {"reason": str})
    #: It answers again: what was missed is caught up with, as each entry's policy says.
    SCHEDULE_BACK = _Kind("schedule.back")
    #: The clock of a scheduler's host is ahead of the store's by so many seconds, or behind. No slot depends
    #: on it. Emitted once for each change.
    SCHEDULE_CLOCK_OFF = _Kind("schedule.clock_off", WARNING, {"seconds": float})
    #: A background thread ended by an error and was started again.
    THREAD_RESTARTED = _Kind("thread.restarted", WARNING, {"thread": str, "reason": str})

    def __init__(self, kind: _Kind) -> None:
        # Attributes of its own: each event reads its level, and ``value`` takes six times as long.
        #: A level of ``logging``.
        self.level: int = kind.level
        #: The event's data: each name with its type or types. An unknown value may be missing.
        self.fields: Mapping[str, object] = kind.fields
        #: The name that caches give it; empty where they have none.
        self.also: str = kind.also


class Event(NamedTuple):
    """One thing that happened, mostly to one job."""

    type: EventType
    task: str = ""
    key: str = ""
    job: str = ""
    data: Mapping[str, object] = MappingProxyType({})

    @property
    def name(self) -> str:
        """The public name, such as ``job.hit``."""
        return self.type.value.name


Listener = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Listen to nothing."""


class Subject(NamedTuple):
    """What an event is about, where no whole job is at hand."""

    task: str = ""
    key: str = ""
    id: str = ""


def emit(listen: Listener, kind: EventType, about: Job | Subject = Subject(), /, **data: object) -> None:
    """Call *listen* with an event *about* a job.

    A listener that raises is logged once for each kind of event and error, and stops nothing: leases and
    paid answers depend on the caller.
    """
    if listen is ignore:
        return
    try:
        listen(Event(kind, about.task, about.key, about.id, data))
    except Exception as error:  # noqa: BLE001  # as the docstring promises
        _log_once(kind, error)


_logged: set[tuple[EventType, type]] = set()
#: So many are logged in all: a listener may raise a new class each time.
_LOGGED_AT_MOST = 200


def _log_once(kind: EventType, error: Exception) -> None:
    if (kind, type(error)) in _logged:
        return
    if len(_logged) >= _LOGGED_AT_MOST:
        return
    _logged.add((kind, type(error)))
    # Not the error's text: a listener may put anything there.
    log.error("a listener raised %s on %s; its events are lost", type(error).__name__, kind.value.name)
