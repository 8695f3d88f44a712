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
    #: A message of the queued job is out; its queue has delivered what was sent after it.
    out: bool = False
    delivered: bool = False
    #: One process may send the message again; others may not.
    handed: bool = False
    #: Handed out since the flight last changed, perhaps a while ago.
    offered: bool = False
    attempts: int = 0
    resent: int = 0
    resender: int = 0
    resting: bool = False
    #: By whom: "worker" or "pause".
    parked: str = ""
    reference: bool = False
    answer: Answer | None = None
    failure: Failure | None = None
    #: The job ended without an answer, and the record outlives its messages.
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

    @property
    def cancelled(self):
        """Of a job under way: what would queue it again ends it."""
        return self.kept_failure is not None and self.kept_failure.kind == "cancelled"

    @property
    def undeliverable(self):
        failed = self.kept_failure
        return failed is not None and (failed.kind, failed.reason) == ("quarantined", "undeliverable")

    @property
    def lost(self):
        """Whether no worker will start the job by itself any more."""
        if not self.over or self.handed:
            return False
        return self.flight == "running" or not self.out or self.delivered

    @property
    def delayed(self):
        """Whether only the first caller's countdown holds the job back."""
        failed = self.failure is not None and self.failure.job == self.job
        unrun = self.attempts == 0 and not self.parked and not failed
        return self.flight == "queued" and self.resting and unrun


def read(record):
    return "ok", record


def admit(record, limits, job, *, force=False, delay=False, paused=False):
    """Admit *job*; with *delay* it starts later."""
    r = _without_lost_worker(record or Record(), limits)
    if r.flight == "queued" and r.job == job:
        return "admitted", record
    if r.flight == "queued" and r.resender == job and r.handed:
        return "resend", record
    if r.fresh and not force:
        return "hit", r
    if r.flight != "idle":
        if paused or not r.lost:
            return _attach(r, job, delay=delay)
        return _resend(r, limits, job)
    if not force and r.failure_answers:
        return "negative", record
    if not force and r.resting:
        return "backoff", record
    flight = Record(flight="queued", job=job, fence=r.fence, answer=r.answer)
    return "admitted", flight._replace(out=not delay, resting=delay)


def _without_lost_worker(r, limits):
    """End a job that was cancelled under way, and whose worker is lost: its caller gets a new one."""
    is_over = r.flight == "running" and r.cancelled and r.lost and r.attempts < limits.attempts
    return _end_cancelled(r) if is_over else r


def _attach(r, job, *, delay):
    """The sooner start wins: a job that was delayed is sent at once. A cancelled one goes on."""
    if r.cancelled:
        r = r._replace(failure=r.failure._replace(kept=False))
    if r.delayed and not delay:
        return "resend", r._replace(resting=False, over=True, resender=job, handed=True, offered=True)
    return "attached", r


def _resend(r, limits, job):
    if r.flight == "running" and r.attempts >= limits.attempts:
        return "negative", _quarantine(r, "attempts_spent")
    if r.flight == "queued" and r.resent >= limits.resends:
        return "negative", _quarantine(r, "undeliverable")
    return "resend", _hand_out(r)._replace(resender=job)


def start(record, limits, job, owner, moment, *, late=False, paused=False):
    """Lease at *moment*, the server's time, which is later than that of every lease before.

    *late*: the message is older than any record that ended by itself is kept.
    """
    if record is None:
        return "ended" if late else "absent", record
    if record.job != job:
        return "done" if record.fresh else "superseded", record
    if record.flight == "running":
        if record.owner == owner:
            return "granted", record
        return grant(record, limits, owner, moment, paused=paused) if record.over else ("busy", record)
    if record.flight == "queued" and record.resting:
        return "paused" if paused else "backoff", record
    if record.flight == "queued":
        return grant(record, limits, owner, moment, paused=paused)
    if record.undeliverable:
        return grant(record._replace(failure=None), limits, owner, moment, paused=paused)
    return _of_idle(record), record


def _of_idle(record):
    if record.failure_answers:
        return "negative"
    return "done" if record.answer else "superseded"


def grant(record, limits, owner, moment, *, paused=False):
    if record.attempts >= limits.attempts:
        return "unrun", _quarantine(record, "attempts_spent")
    if record.cancelled:
        return "unrun", _end_cancelled(record)
    if paused:
        return "paused", _park(record, "pause", rests=True)
    return "granted", record._replace(
        flight="running",
        owner=owner,
        fence=max(record.fence + 1, moment),
        over=False,
        out=False,
        delivered=False,
        handed=False,
        offered=False,
        attempts=record.attempts + 1,
        resent=0,
        resender=0,
        resting=False,
        parked="" if record.parked == "pause" else record.parked,
        tombstone=False,
    )


def renew(record, owner):
    outcome, after = _of_running(record, owner, over=False)
    return "cancelled" if outcome == "ok" and record.cancelled else outcome, after


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
    if record.flight == "idle" and record.answer and record.answer.fence == record.fence:
        return "ok", record
    return "ok", answered(record)


def answered(record):
    kept = record._replace(attempts=record.attempts, reference=False, failure=None)
    return _idle(kept)._replace(resting=False, answer=Answer(record.fence), tombstone=False)


def fail(record, limits, owner, kind, *, reason="http_503", rests=True, quarantine=True):
    if record is None:
        return "absent", record
    if record.owner != owner or record.flight != "running":
        failed = record.failure
        replayed = failed is not None and (failed.owner, failed.job) == (owner, record.job)
        return "ok" if replayed else "fenced", record
    failed = _fail(record, limits, kind, reason, rests=rests, quarantine=quarantine)
    return "ok", failed._replace(owner=0, failure=failed.failure._replace(owner=owner))


def _failure(r, kind, reason):
    """Keep the owner that last reported a failure of this job: only its own report may be repeated."""
    return Failure(kind, reason, r.job, r.failure.owner if r.failure else 0)


def _fail(record, limits, kind, reason, *, rests, quarantine):
    spent = record.attempts >= limits.attempts
    if kind == "transient" and spent and quarantine:
        return _quarantine(record, reason)
    if kind == "transient" and not spent and record.cancelled:
        return _end_cancelled(record)
    failed = record._replace(failure=_failure(record, kind, reason))
    if kind == "transient" and not spent:
        return _put_back(failed, rests=rests)._replace(parked="")
    return _idle(failed)._replace(resting=rests, reference=False)


def park(record, owner, *, rests=True, spent=False):
    """*spent*: the job was parked for too long."""
    if record is None:
        return "absent", record
    if record.owner == owner and record.flight == "idle" and record.cancelled:
        return "cancelled", record
    if record.owner != owner or record.flight == "idle":
        return "fenced", record
    if record.flight == "queued":
        return "parked", record
    if record.cancelled:
        return "cancelled", _end_cancelled(record)._replace(attempts=record.attempts - 1)
    if spent:
        return "spent", record
    return "parked", _park(record, "worker", rests=rests)._replace(attempts=record.attempts - 1)


def _park(r, by, *, rests):
    return _put_back(r, rests=rests)._replace(parked=by)


def cancel(record):
    if record is None:
        return "absent", record
    if record.flight == "running":
        return "running", record if record.cancelled else record._replace(
            failure=_failure(record, "cancelled", "cancelled")
        )
    if record.flight == "idle":
        return "cancelled" if record.cancelled else "idle", record
    return "cancelled", _end_cancelled(record)


def _end_cancelled(r):
    return _idle(r)._replace(resting=False, reference=False, failure=_failure(r, "cancelled", "cancelled"))


def invalidate(record):
    if record is None:
        return "absent", record
    return "ok", Record(fence=record.fence, tombstone=True)


def reap(record, limits, *, paused=False):
    """Hand out the job, 0 for none, as outcome."""
    if record is None or record.flight == "idle":
        return 0, record
    if record.flight == "queued" and paused:
        put_aside = record.parked and record.over and not record.handed
        return 0, record._replace(parked="pause") if put_aside else record
    if not record.lost:
        return 0, record
    if record.flight == "running" and record.attempts >= limits.attempts:
        return 0, _quarantine(record, "attempts_spent")
    if record.resent >= limits.resends:
        return 0, _quarantine(record, "undeliverable")
    if record.flight == "running" and record.cancelled:
        return 0, _end_cancelled(record)
    return record.job, _hand_out(record)


def deliver(record):
    """The queue reports what it has delivered: all that was sent before now."""
    if record is None or not record.out:
        return record
    return record._replace(delivered=True)


def resent(record, job, *, again=False):
    """Count the message that was sent again; *again*: it is counted already."""
    if record is None:
        return "absent", record
    if record.job != job or record.flight != "queued":
        return "fenced", record
    if again and record.out:
        return "ok", record
    if not record.offered:
        return "fenced", record
    sent = record._replace(over=False, out=True, delivered=False, handed=False, offered=False, resender=0)
    return "ok", sent._replace(resent=record.resent + 1)


def _hand_out(r):
    """Queue the job of a lost worker, and let one process send its message."""
    if r.flight == "running":
        r = r._replace(flight="queued", out=False, resting=False)
    return r._replace(handed=True, offered=True)


def _put_back(r, *, rests):
    """Queue the job without a message: it is sent when it is due."""
    put_back = r._replace(flight="queued", over=not rests, resting=rests, out=False, delivered=False)
    return put_back._replace(handed=False, offered=False, resent=0, resender=0, tombstone=False)


def _idle(r):
    """End the flight."""
    ended = r._replace(flight="idle", over=False, out=False, delivered=False, handed=False, offered=False)
    return ended._replace(resent=0, resender=0, parked="", tombstone=True)


def _quarantine(r, reason):
    failure = _failure(r, "quarantined", reason)
    return _idle(r)._replace(resting=False, failure=failure)


def passing(record):
    """Yield each time that may pass now, and the record after it; None where that was all it had."""
    if record is not None:
        yield from _passing_of_flight(record)
        yield from _passing_of_end(record)


def _passing_of_flight(record):
    # A job whose message is not out is due when its rest is over.
    due_after_rest = record.flight == "queued" and record.resting and not record.out
    if record.resting:
        yield "rest", _or_none(record._replace(resting=False, over=record.over or due_after_rest))
    if record.flight != "idle" and not record.over and not due_after_rest:
        yield "deadline", record._replace(over=True)
    if record.handed:
        yield "hand-out", record._replace(handed=False)


def _passing_of_end(record):
    if record.fresh:
        yield "freshness", record._replace(answer=record.answer._replace(fresh=False))
    elif record.answer:
        yield "answer", _or_none(record._replace(answer=None))
    # A job under way is cancelled for a week, which is how long its record lasts.
    if record.kept_failure and not (record.cancelled and record.flight == "running"):
        yield "failure", _or_none(record._replace(failure=record.failure._replace(kept=False)))
    if record.tombstone and not _kept(record):
        yield "tombstone", None


def _or_none(record):
    return record if _kept(record) or record.tombstone else None


def _kept(record):
    return record.flight != "idle" or record.answer or record.kept_failure or record.resting
