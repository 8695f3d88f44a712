"""The rules of a record without its clock: what each verb answers, and what it leaves behind.

One function for a script in ``askonce/adapters/redis/lua``, of the same name and in the same order of cases.
Where a script compares times, a record here has a flag: that a deadline is over, an answer is fresh. So
every order in which times may pass is one of finitely many. One key and one payload; jobs and owners
are numbers from 1, and 0 is none.
"""

from typing import Literal, NamedTuple


class Limits(NamedTuple):
    """How often a job is tried, and how often its message is sent again without a start."""

    attempts: int = 2
    resends: int = 1


class Answer(NamedTuple):
    fence: int
    fresh: bool = True


class Failure(NamedTuple):
    kind: str
    reason: str
    job: int
    owner: int
    #: It still answers. Afterwards it only shows whether a write is a replay.
    kept: bool = True


class Record(NamedTuple):
    flight: Literal["idle", "queued", "running"] = "idle"
    job: int = 0
    owner: int = 0
    fence: int = 0
    #: The lease's or the message's time is over.
    over: bool = False
    attempts: int = 0
    resent: int = 0
    resender: int = 0
    resting: bool = False
    reference: bool = False
    answer: Answer | None = None
    failure: Failure | None = None
    tombstone: bool = False

    @property
    def fresh(self):
        return self.answer is not None and self.answer.fresh

    @property
    def kept_failure(self):
        """The failure that still answers, if any."""
        return self.failure if self.failure and self.failure.kept else None

    @property
    def failure_answers(self):
        return self.kept_failure is not None and self.kept_failure.kind in ("permanent", "quarantined")


def read(record):
    return "ok", record


def admit(record, limits, job, *, force=False):
    r = record or Record()
    if r.flight == "queued" and job in (r.job, r.resender):
        return "admitted" if r.job == job else "resend", record
    if r.fresh and not force:
        return "hit", record
    if r.flight != "idle":
        return _attach_or_resend(r, limits, job)
    if not force and r.failure_answers:
        return "negative", record
    if not force and r.resting:
        return "backoff", record
    if r.job == job:
        return "attached", record
    return "admitted", Record(flight="queued", job=job, fence=r.fence, answer=r.answer)


def _attach_or_resend(r, limits, job):
    if not r.over:
        return "attached", r
    if r.flight == "running" and r.attempts >= limits.attempts:
        return "negative", _quarantine(r, "attempts_spent")
    return "resend", _queue_again(r)._replace(resender=job)


def start(record, limits, job, owner, moment):
    """Lease at *moment*, the server's time, which is later than that of every lease before."""
    if record is None:
        return "absent", record
    if record.job != job:
        return "done" if record.fresh else "superseded", record
    if record.flight == "running":
        if record.owner == owner:
            return "granted", record
        return grant(record, limits, owner, moment) if record.over else ("busy", record)
    if record.flight == "queued":
        return ("backoff", record) if record.resting else grant(record, limits, owner, moment)
    if record.kept_failure and (record.kept_failure.kind, record.kept_failure.reason) == (
        "quarantined",
        "undeliverable",
    ):
        return grant(record._replace(failure=None), limits, owner, moment)
    if record.failure_answers:
        return "negative", record
    return "done" if record.answer else "superseded", record


def grant(record, limits, owner, moment):
    if record.attempts >= limits.attempts:
        return "negative", _quarantine(record, "attempts_spent")
    return "granted", record._replace(
        flight="running",
        owner=owner,
        fence=max(record.fence + 1, moment),
        over=False,
        attempts=record.attempts + 1,
        resent=0,
        resender=0,
        resting=False,
    )


def renew(record, owner):
    return _of_running(record, owner, over=False)


def checkpoint(record, owner):
    return _of_running(record, owner, reference=True)


def _of_running(record, owner, **changes):
    if record is None:
        return "absent", record
    if record.owner != owner or record.flight != "running":
        return "fenced", record
    return "ok", record._replace(**changes)


def complete(record, owner):
    if record is None:
        return "absent", record
    if record.owner != owner:
        return "fenced", record
    quarantined = record.kept_failure is not None and record.kept_failure.kind == "quarantined"
    if record.flight == "idle" and not quarantined:
        return "ok" if record.answer and record.answer.fence == record.fence else "fenced", record
    return "ok", answered(record)


def answered(record):
    return record._replace(
        flight="idle",
        over=False,
        resting=False,
        reference=False,
        answer=Answer(record.fence),
        failure=None,
    )


def fail(record, limits, owner, kind, *, reason="http_503", rests=True, quarantine=True):
    if record is None:
        return "absent", record
    if record.owner != owner or record.flight != "running":
        failed = record.failure
        replayed = failed is not None and (failed.owner, failed.job) == (owner, record.job)
        return "ok" if replayed else "fenced", record
    return "ok", _fail(record, limits, kind, reason, rests=rests, quarantine=quarantine)._replace(owner=0)


def _fail(record, limits, kind, reason, *, rests, quarantine):
    spent = record.attempts >= limits.attempts
    if kind == "transient" and spent and quarantine:
        return _quarantine(record, reason)
    failed = record._replace(failure=Failure(kind, reason, record.job, record.owner), resting=rests)
    if kind == "transient" and not spent:
        return failed._replace(flight="queued", over=not rests, resent=0)
    return failed._replace(flight="idle", over=False, reference=False)


def release(record, owner):
    if record is None:
        return "absent", record
    if record.owner != owner or record.flight == "idle":
        return "fenced", record
    if record.flight == "running":
        record = record._replace(flight="queued", attempts=record.attempts - 1, over=True)
    return "ok", record


def invalidate(record):
    if record is None:
        return "absent", record
    return "ok", Record(fence=record.fence, tombstone=True)


def reap(record, limits):
    """Return the job to be sent again, 0 for none, as outcome."""
    if record is None or record.flight == "idle" or not record.over:
        return 0, record
    if record.flight == "running" and record.attempts >= limits.attempts:
        return 0, _quarantine(record, "attempts_spent")
    if record.resent >= limits.resends:
        return 0, _quarantine(record, "undeliverable")
    return record.job, _queue_again(record)


def _queue_again(r):
    return r._replace(flight="queued", over=False, resent=r.resent + 1, resting=False)


def _quarantine(r, reason):
    failure = Failure("quarantined", reason, r.job, r.owner)
    return r._replace(flight="idle", over=False, resting=False, failure=failure)


def passing(record):
    """Yield each time that may pass now, and the record after it; None where that was all it had."""
    if record is None:
        return
    if record.resting:
        yield "rest", _or_none(record._replace(resting=False, over=record.flight == "queued"))
    elif record.flight != "idle" and not record.over:
        yield "deadline", record._replace(over=True)
    if record.fresh:
        yield "freshness", record._replace(answer=record.answer._replace(fresh=False))
    elif record.answer:
        yield "answer", _or_none(record._replace(answer=None))
    if record.kept_failure:
        yield "failure", _or_none(record._replace(failure=record.failure._replace(kept=False)))
    if record.tombstone:
        yield "tombstone", None


def _or_none(record):
    kept = (
        record.flight != "idle" or record.answer or record.kept_failure or record.resting or record.tombstone
    )
    return record if kept else None
