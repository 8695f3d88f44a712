"""Decides what a caller does with a store's reply: Serve, Wait, Run or Refuse.

    caller            reply of      decided by
    enqueue           admit         admit, with Policy.LEAVE
    inline call       admit         admit, with Policy.RUN
    foreign message   admit         admit, with Policy.RUN
    worker            start         start
    store is down     none          run_without_store, enqueue_without_store

Each function is total: mypy reports a member of Admission or Start that one of them leaves out. No other
module but the stores names those members. The events of a decision are emitted here too.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, assert_never

from askonce.answer import to_result
from askonce.claim import Claim, Terms
from askonce.decision import Decision, Refuse, Run, Serve, Wait, Why
from askonce.errors import AnswerUnreadable, StoreUnavailable
from askonce.events import EventType, Listener, Subject, emit, ignore
from askonce.freshness import answer_meanwhile, fallback_of, kept_answer, last_good_answer
from askonce.job import JobId, new_job_id
from askonce.record import TOMBSTONE_KEPT, Snapshot
from askonce.store import Admission, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.answer import Result, Source
    from askonce.job import Job, Key
    from askonce.spec import JobSpec
    from askonce.store import Lease, Reply, Store


class Policy(Enum):
    """What the caller can do with a job that waits for a worker."""

    #: Leave it to a worker: ``enqueue``.
    LEAVE = "leave"
    #: Run it here and now: an inline call, or a message that something else sent.
    RUN = "run"


def admit(
    store_admit: Callable[[Claim], Reply[Admission]],
    claim: Claim,
    policy: Policy,
    listen: Listener = ignore,
    *,
    reply: Reply[Admission] | None = None,
) -> Decision:
    """Admit *claim*, unless it was admitted in a group with this *reply*, and decide what its caller does.

    A damaged answer is no answer to any process: a new job is admitted in its place. An answer in a codec
    that is missing here is readable elsewhere: paying for it again would not make it readable.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    reply = reply or store_admit(claim)
    decision = _on_admission(reply, claim, policy)
    if _is_damaged(decision):
        terms = claim.terms._replace(force=True, stale_while_revalidate=0.0)
        forced = Claim(claim.job.under(new_job_id()), terms)
        reply = store_admit(forced)
        decision = _on_admission(reply, forced, policy)
    if listen is not ignore:
        _report_admission(listen, reply, decision, claim.job)
    return decision


def _on_admission(  # noqa: C901  # one arm for each member
    reply: Reply[Admission], claim: Claim, policy: Policy
) -> Decision:
    """Decide what the reply of ``admit`` means for a caller with *policy*."""
    record, (job, terms) = reply.record, claim
    if reply.outcome is Admission.HIT:  # most callers' reply
        return _serve(job.key, record)
    if reply.outcome is Admission.STALE:
        return _serve(job.key, record, "stale")
    stale = _stale(job.key, record, terms.stale_if_error)
    match reply.outcome:
        case Admission.ATTACHED:
            return _join(record, policy, stale, reply.ignored)
        case Admission.ADMITTED:
            return _admitted(reply, policy, stale, terms)
        case Admission.RESEND:
            meanwhile = answer_meanwhile(stale, terms)
            run = Run(job=record.job, record=record, new=False, stale=stale, meanwhile=meanwhile)
            return run._replace(ignored=reply.ignored)
        case Admission.NEGATIVE:
            return _refuse(Why.FAILED, record, stale)
        case Admission.BACKOFF:
            return _refuse(Why.RESTS, record, stale)
        case Admission.CONFLICT:
            return Refuse(why=Why.CONFLICT)
    assert_never(reply.outcome)


def start(
    store: Store, spec: JobSpec, job: Job, lease: Lease, listen: Listener = ignore, *, returns: bool = False
) -> Decision:
    """Start *job* under *lease*, and decide what the worker that has its message does.

    *returns* says that the message can go back to its queue.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    kept = min(spec.hard_ttl, TOMBSTONE_KEPT)
    reply = store.start(job, lease, kept, returns=returns)
    if reply.outcome is Start.ABSENT:
        # The record was lost after the message was sent. Only one of several such messages may run, so the
        # job is admitted again, not just run.
        store.admit(Claim(job, Terms.of(spec)))
        reply = store.start(job, lease, kept, returns=returns)
    decision = _on_start(reply, job)
    if listen is not ignore:
        _report_start(listen, decision, reply.record, job)
    return decision


def _on_start(reply: Reply[Start], job: Job) -> Decision:  # noqa: C901, PLR0911  # one arm for each member
    """Decide what the reply of ``start`` means."""
    record = reply.record
    match reply.outcome:
        case Start.GRANTED:
            return Run(job=job.id, record=record, new=False, stale=_stale(job.key, record))
        case Start.DONE:
            return _serve(job.key, record)
        case Start.BUSY:
            return Wait(job=record.job, running=True)
        case Start.BACKOFF:
            return Wait(job=record.job, rest=record.wait)
        case Start.PAUSED:
            stale = _stale(job.key, record)
            return Wait(job=record.job, rest=record.wait, paused=record.paused, stale=stale)
        case Start.RETURNED:
            return Wait(job=record.job, paused=record.paused, returns=True)
        case Start.SUPERSEDED:
            return Refuse(why=Why.SUPERSEDED, job=record.job)
        case Start.NEGATIVE:
            return _refuse(Why.FAILED, record, _stale(job.key, record))
        case Start.UNRUN:
            return _refuse(Why.FAILED, record, _stale(job.key, record))._replace(unrun=True)
        case Start.CONFLICT:
            return Refuse(why=Why.CONFLICT)
        case Start.ABSENT | Start.ENDED:
            return Refuse(why=Why.GONE)
    assert_never(reply.outcome)


def run_without_store(
    spec: JobSpec, kept: Result | None, job: Job, down: StoreUnavailable
) -> Serve | Run | Refuse:
    """Decide what a worker does while the store is down; *kept* is an answer of its own memory."""
    if kept is not None:
        return Serve(result=kept)
    match spec.on_store_down:
        case "local":
            return Run(job=job.id, record=Snapshot())
        case "defer" | "fail":
            return Refuse(why=Why.STORE_DOWN, job=job.id, error=down)
    assert_never(spec.on_store_down)


def enqueue_without_store(
    spec: JobSpec, claim: Claim, *, broker_apart: bool, down: StoreUnavailable
) -> Run | Refuse:
    """Decide what ``enqueue`` does while the store is down; *broker_apart*: the broker is another server.

    Such a message has no place for a tenant, a run, a time or headers, and cannot look at a record.
    """
    job, terms = claim
    looks = terms.reject or terms.force or terms.max_age is not None
    waits = terms.countdown > 0 or terms.expires is not None
    needs_record = looks or waits or bool(job.tenant or job.run) or not job.routing.is_plain
    match spec.on_store_down:
        case "local" | "defer" if broker_apart and not needs_record:
            return Run(job=claim.job.id, record=Snapshot())
        case "local" | "defer" | "fail":
            return Refuse(why=Why.STORE_DOWN, job=claim.job.id, error=down)
    assert_never(spec.on_store_down)


def _serve(key: Key, record: Snapshot, source: Source = "cache") -> Serve | Refuse:
    answer = kept_answer(key, record, source)
    if isinstance(answer, AnswerUnreadable):
        return Refuse(why=Why.UNREADABLE, job=record.job, error=answer)
    if answer is None:
        return Refuse(why=Why.SUPERSEDED, job=record.job)
    return Serve(result=answer)


def _admitted(reply: Reply[Admission], policy: Policy, stale: Result | None, terms: Terms) -> Wait | Run:
    record = reply.record
    if policy is Policy.RUN and record.wait > 0:
        # The reply to a repeated claim: the caller's own job rests after a failure.
        return _join(record, policy, stale)
    run = Run(job=record.job, record=record, sent=reply.sent, rest=record.wait, stale=stale)
    return run._replace(meanwhile=answer_meanwhile(stale, terms)) if stale else run


def _join(
    record: Snapshot, policy: Policy, stale: Result | None, ignored: tuple[str, ...] = ()
) -> Wait | Run:
    running = record.flight == "running"
    match policy:
        case Policy.RUN if not running and record.wait <= 0:
            # Do not wait for a queued job: this thread may hold the slot that it needs.
            return Run(job=record.job, record=record, new=False, stale=stale)
        case Policy.LEAVE | Policy.RUN:
            rest, paused = record.wait, record.paused
            return Wait(
                job=record.job, running=running, rest=rest, paused=paused, stale=stale, ignored=ignored
            )
    assert_never(policy)


def end_of(key: Key, job: JobId, record: Snapshot) -> Serve | Refuse | None:
    """Decide for a caller that waited for *job*; None where the job goes on or is unknown."""
    if record.job != job or record.flight != "idle":
        return None
    if record.failure is not None and record.failure.job == job:
        fallback = fallback_of(key, job, record.failure)
        if fallback is not None:
            return Serve(result=fallback)
        return _refuse(Why.FAILED, record, _stale(key, record))
    value = record.value or record.late
    if value is None:
        return None
    try:
        return Serve(result=to_result(key, job, value))
    except AnswerUnreadable as unreadable:
        return Refuse(why=Why.UNREADABLE, job=job, error=unreadable)


def _refuse(why: Why, record: Snapshot, stale: Result | None) -> Refuse:
    return Refuse(
        why=why,
        job=record.job,
        failure=record.failure,
        attempts=record.attempts,
        rest=record.wait,
        stale=stale,
    )


def _stale(key: Key, record: Snapshot, if_error: float | None = None) -> Result | None:
    return last_good_answer(key, record.job, record, if_error) if record.value else None


def _is_damaged(decision: Decision) -> bool:
    unreadable = decision.error if isinstance(decision, Refuse) else None
    return isinstance(unreadable, AnswerUnreadable) and not unreadable.codec


def _report_admission(  # noqa: C901, PLR0912  # one arm for each member
    listen: Listener, reply: Reply[Admission], decision: Decision, job: Job
) -> None:
    record = reply.record
    about = job if record.job == job.id else Subject(job.task, job.key, record.job)
    match reply.outcome:
        case Admission.ATTACHED if isinstance(decision, Wait) and decision.ignored:
            emit(listen, EventType.JOB_ATTACHED, about, ignored=",".join(decision.ignored))
        case Admission.ATTACHED:
            emit(listen, EventType.JOB_ATTACHED, about)
        case Admission.HIT if isinstance(decision, Serve):
            emit(listen, EventType.JOB_HIT, about, age_seconds=decision.result.age)
        case Admission.STALE if isinstance(decision, Serve):
            age, stale_for = decision.result.age, decision.result.stale_for
            emit(listen, EventType.JOB_STALE, about, age_seconds=age, stale_seconds=stale_for)
        case Admission.HIT | Admission.STALE:
            emit(listen, EventType.JOB_UNREADABLE, about)
        case Admission.ADMITTED if isinstance(decision, Run):
            if record.value is not None and not record.value.fresh:
                emit(listen, EventType.ANSWER_EXPIRED, about, age_seconds=record.value.age)
            emit(listen, EventType.JOB_ADMITTED, about)
        case Admission.RESEND:
            emit(listen, EventType.JOB_RESENT, about, resends=record.resent + 1)
        case Admission.ADMITTED:
            # A repeated claim, whose job rests.
            emit(listen, EventType.JOB_ATTACHED, about)
        case Admission.NEGATIVE:
            emit(listen, EventType.JOB_NEGATIVE, about, **_why(record))
        case Admission.BACKOFF:
            emit(listen, EventType.JOB_BACKOFF, about, wait_seconds=record.wait)
        case Admission.CONFLICT:
            emit(listen, EventType.JOB_CONFLICT, about)
        case _:
            assert_never(reply.outcome)


def _why(record: Snapshot) -> dict[str, object]:
    return {"kind": record.failure.kind, "reason": record.failure.reason} if record.failure else {}


def _report_start(listen: Listener, decision: Decision, record: Snapshot, job: Job) -> None:
    match decision:
        case Run():
            return  # the end of the run is the event
        case Serve(result=result):
            report_reused(listen, job, result)
        case Refuse(why=Why.FAILED, unrun=True):
            data = {"attempt": record.attempts, **_why(record)}
            emit(listen, EventType.JOB_FAILED, job, run_seconds=0.0, **data)
        case Refuse(why=Why.FAILED):
            emit(listen, EventType.JOB_NEGATIVE, job, **_why(record))
        case Wait() | Refuse():
            emit(listen, EventType.JOB_SKIPPED, job, outcome=decision.word)
        case _:
            assert_never(decision)


def report_reused(listen: Listener, job: Job, result: Result) -> None:
    """Emit that the answer was there already. That is no end of *job*: it has ended, or needs no run."""
    emit(listen, EventType.JOB_REUSED, job, source=result.source, age_seconds=result.age)
