"""Says in words how a job stands: why it waits, where it runs, or how it ended."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, assert_never

from askonce.cli.counted import counted
from askonce.cli.moments import moment
from askonce.cli.pauses import line_of
from askonce.controls import pauses_of_job
from askonce.errors import BrokerUnavailable
from askonce.job import is_function
from askonce.listening import listening
from askonce.record import REASON_KEPT_FOR, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.cli.site import Site
    from askonce.job import Key
    from askonce.listening import Listening
    from askonce.record import Snapshot


class State(StrEnum):
    """The state of a job as the list of jobs names it."""

    #: A worker holds the lease.
    RUNNING = "running"
    #: It waits for a worker, or for its next attempt.
    QUEUED = "queued"
    #: It was put back unpaid: its provider accepts no call.
    PARKED = "parked"
    #: A pause holds it back.
    PAUSED = "paused"
    #: Its attempts are spent: a dead letter.
    DEAD = "dead"
    DONE = "done"
    STALE = "stale"
    FAILED = "failed"
    #: Its job ended without an answer, and the next caller gets a new one.
    ENDED = "ended"
    ABSENT = "absent"
    #: The record is damaged, or a newer version wrote it.
    UNREADABLE = "unreadable"


#: The states that a store has in an index; the others are found by a look at every record.
IN_FLIGHT = frozenset({State.RUNNING, State.QUEUED, State.PARKED, State.PAUSED})
INDEXED = IN_FLIGHT | {State.DEAD}


def state_of(record: Snapshot) -> State:
    """Return the state of *record*."""
    if record.error is not None:
        return State.UNREADABLE
    match record.status:
        case Status.RUNNING:
            return State.RUNNING
        case Status.QUEUED:
            if record.paused is not None:
                return State.PAUSED
            return State.PARKED if record.parked and record.parked.times else State.QUEUED
        case Status.QUARANTINED:
            return State.DEAD
        case Status.DONE | Status.STALE | Status.FAILED:
            return State(record.status.value)
        case Status.ABSENT:
            return State.ENDED if record.present else State.ABSENT
    assert_never(record.status)


def since_of(record: Snapshot) -> float:
    """Return when *record* came into its state, in seconds since 1970; 0 where that is unknown."""
    now, state = record.now / 1000, state_of(record)
    if state is State.RUNNING:
        # A lease's token is the time of its start, in microseconds.
        return record.fence / 1_000_000
    if state in (State.PARKED, State.PAUSED) and record.parked is not None:
        return now - record.parked.seconds
    if state in (State.DONE, State.STALE) and record.value is not None:
        return record.value.stored_at
    if state in (State.DEAD, State.FAILED, State.ENDED):
        return record.ended_at
    return record.admitted_at / 1000


def reason_of(record: Snapshot) -> str:
    """Return the reason for which the job is parked, rests or gave no answer; empty without one."""
    if record.parked is not None and record.parked.times:
        return record.parked.reason
    return record.failure.reason if record.failure is not None else ""


def holder_of(record: Snapshot) -> str:
    """Return the host and the process of the worker that has the job; empty where none has.

    The second half of the owner's token stays secret: it authorises writes.
    """
    return record.owner.rpartition(":")[0] if record.flight == "running" else ""


def is_lost(record: Snapshot) -> bool:
    """Return whether no worker has the job and no message is on its way, although one should be.

    A job that a pause holds back, or whose start was put off until now, has no message yet.
    """
    if record.flight == "running":
        return record.lost
    return record.lost and record.paused is None and not _was_put_off(record)


def _was_put_off(record: Snapshot) -> bool:
    """Return whether a queued job was put back, rested after a failure, or was delayed by its caller.

    A record keeps a failure for so long after the rest: a delay is known for the same time.
    """
    is_delayed = record.now / 1000 < record.due_at + REASON_KEPT_FOR
    return record.parked is not None or record.failure is not None or is_delayed


def hears(site: Site) -> Callable[[Snapshot], Listening]:
    """Return a function that says whether a living worker would run the queued job of a record.

    It asks for the job's own queue and version, which may differ from its task's; once for each of them.
    """

    @cache
    def heard(task: str, queue: str, version: str, model: str) -> Listening:
        spec = replace(site.specs[task], version=version, model=model)
        found = listening(spec, queue or None, site.store.announcements.workers())
        return replace(found, whose="the job")

    def heard_of(record: Snapshot) -> Listening:
        queue = record.routing.queue if record.routing else ""
        return heard(record.task, queue, record.version, record.model)

    return heard_of


def waits(site: Site, record: Snapshot, heard: Callable[[Snapshot], Listening]) -> str | None:
    """Return why a queued job does not run yet, or that no call follows the one that is under way.

    None for any other job.
    """
    if record.is_cancelled:
        return "it was cancelled: its call ends by itself, and no other follows"
    if record.flight != "queued":
        return None
    if record.paused is not None:
        return f"paused: {record.paused}"
    workers = heard(record)
    if not workers.ok:
        return workers.text
    if record.wait > 0:
        return _rests(site, record)
    if record.lost:
        lost = "its message was lost: a worker sends it again"
        return lost if is_lost(record) else "it is due: a worker sends it"
    return f"for a free slot: {workers.text}"


def is_resting(record: Snapshot) -> bool:
    """Return whether a queued job that is not due yet rests.

    Otherwise its caller delayed it, or its pause is over.
    """
    return record.failure is not None if record.parked is None else record.parked.times > 0


def _rests(site: Site, record: Snapshot) -> str:
    """Return why a queued job is not due yet."""
    if not is_resting(record):
        why = "its caller delayed it" if record.parked is None else "its pause is over"
        return f"{why}: it starts in {record.wait:.1f} s"
    if record.parked is None:
        return f"it rests for {record.wait:.1f} s, after a failure"
    since = f"since {record.parked.seconds:.0f} s ({record.parked.reason})"
    text = f"for its provider, {since}; the next look is in {record.wait:.1f} s"
    return ": ".join(filter(None, (text, site.cure_of(record.parked.reason))))


def stands(site: Site, key: Key, record: Snapshot) -> str:
    """Return in one sentence why the job of *key* waits, where it runs, or how it ended."""
    match state_of(record):
        case State.UNREADABLE:
            return f"{record.error}; invalidate its key, or look with the newer version"
        case State.ABSENT:
            return "no record has this key: no job was enqueued under it, or its answer is not kept any more"
        case State.PAUSED:
            return f"paused: {_pauses(site, record)}"
        case State.QUEUED | State.PARKED:
            return _queued(site, record)
        case State.RUNNING:
            return _runs(record)
        case State.DONE | State.STALE:
            return _answered(record)
        case State.DEAD | State.FAILED | State.ENDED:
            return _ended(site, key, record)


def _queued(site: Site, record: Snapshot) -> str:
    if record.task not in site.specs:
        if is_function(record.task):
            return "it is a cached function's: no worker runs it, and whoever asks next makes the call"
        return f"this application has no task {record.task!r}: look with the one that has it"
    why = waits(site, record, hears(site)) or ""
    is_sent = state_of(record) is State.QUEUED and record.wait <= 0 and not record.lost
    return f"{why}; {_place(site, record)}" if is_sent and record.routing else why


def _place(site: Site, record: Snapshot) -> str:
    """Return what is before the job in its queue."""
    assert record.routing is not None
    name, priority = record.routing.queue, record.routing.priority or 0
    try:
        with site.queues() as queues:
            [queue] = queues.look([name])
            before = queues.before(name, priority, record.job)
    except BrokerUnavailable as error:
        return f"what is before it is unknown: the broker does not answer ({error.reason})"
    if before is not None:
        there = counted(queue.messages or 0, "message")
        return f"{counted(before, 'message')} before it, of {there} in queue {name}"
    if queue.messages == 0:
        return f"queue {name} is empty: a worker has received its message, or it was deleted"
    if queue.messages is None:
        return f"the broker does not say how long queue {name} is"
    return f"{counted(queue.messages, 'message')} in queue {name}; its own place is unknown"


def _pauses(site: Site, record: Snapshot) -> str:
    """Return each pause that holds the job back, with who paused and why."""
    holding = pauses_of_job(
        site.store.controls.pauses(),
        queue=record.routing.queue if record.routing else "",
        task=record.task,
        tenant=record.tenant,
        run=record.run,
        model=record.model,
    )
    return "; ".join(line_of(pause, note) for pause, note in holding) or str(record.paused)


def _runs(record: Snapshot) -> str:
    where = f"it runs on {holder_of(record) or 'a worker'} since {moment(since_of(record))}"
    attempt = f"{where}, attempt {record.attempts}"
    if record.is_cancelled:
        attempt = f"{attempt}; it was cancelled: no other call follows"
    if record.deadline_in < 0:
        return f"{attempt}; its worker is lost: the lease ended {-record.deadline_in:.0f} s ago"
    return f"{attempt}; its lease ends in {record.deadline_in:.0f} s, and its worker renews it"


def _answered(record: Snapshot) -> str:
    value = record.value
    assert value is not None
    age = "fresh" if value.fresh else "too old to be a hit"
    return f"its answer is kept since {moment(value.stored_at)}, and {age}; result KEY prints it"


def _ended(site: Site, key: Key, record: Snapshot) -> str:
    failure = record.failure
    if failure is None:
        return "its job ended, and nothing is kept of it: the next caller gets a new one"
    words = f"{failure.kind}: {failure.reason}" if failure.kind != failure.reason else failure.kind
    return ": ".join(filter(None, (words, site.cure_of(failure.reason, kind=failure.kind, key=key))))
