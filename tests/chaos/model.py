"""Which replies a verb may give, and what it leaves behind.

Written from the rules in words (docs/state-machine.md), not from the scripts. Two things are no part of the
record, so that both of their cases are allowed: how far a queue has delivered, and which pauses hold.
"""

from tests.chaos.state import (
    ADMISSION,
    BACK,
    HANDED_OUT,
    IDLE,
    LASTING,
    MAX_RESENDS,
    NEVER,
    NO_FAILURE,
    NOT_OUT,
    PAUSE_REST,
    PERHAPS_ADMISSION,
    REASON_KEPT,
    RETURNED,
    SLACK,
    Moment,
    State,
    Step,
)

#: How a job ends that no process runs; its last owner may stand still, and bring an answer after all.
GIVEN_UP = ("quarantined", "undeliverable", "cancelled", "expired")


def steps(state, bounds, op, latest):
    """What *op* may answer and leave behind, if it takes effect not after *latest*."""
    for before, limits in [(state, bounds), *_reaped(state, bounds, latest)]:
        yield from VERBS[op.verb](Moment(before, limits, op, latest))


def _reaped(s, b, latest):
    """Any process may have been here: reapers end what is over, and are handed what is lost."""
    if s.flight == "queued" and s.may_expire and latest + SLACK >= b.expires[0]:
        kept = b.expires[0] + REASON_KEPT, NEVER
        yield s._replace(failure="expired", failed_job=s.job, **IDLE), b._replace(ends=kept)
    if s.flight == "idle" or latest + SLACK < b.ends[0]:
        return
    if s.flight == "running" and s.attempts >= s.max_attempts:
        yield s._replace(failure="quarantined", failed_job=s.job, **IDLE), b
        return
    if s.is_cancelled:
        yield s._replace(failed_job=s.job, **IDLE), b._replace(ends=(b.ends[0] + REASON_KEPT, NEVER))
        return
    if s.flight == "queued" and s.resends >= MAX_RESENDS:
        yield s._replace(failure="undeliverable", failed_job=s.job, **IDLE), b
        return
    ends = b.ends[0] + min(HANDED_OUT, s.queue_deadline) - SLACK, NEVER
    out = NOT_OUT if s.flight == "running" else s.sent_at
    handed_out = s._replace(flight="queued", rests=False, delayed=False, sent_at=out)
    yield handed_out, b._replace(ends=ends)
    if s.flight == "running":
        # Another may end it next, if its time is over.
        yield from _reaped(handed_out, b._replace(ends=ends), latest)


def read(m):
    yield m.step("ok")


def admit(m):
    a = m.args
    if m.s.fingerprint and m.s.fingerprint != a["fp"]:
        m.s = m.s._replace(value=0, job="", **NO_FAILURE, **IDLE)
    s = m.s
    if s.flight == "queued" and s.job == a["job"]:
        yield m.step("admitted")
        return
    if s.flight == "queued" and s.resender == a["job"] and m.may_be_live:
        yield m.step("resend")
    if m.may_be_fresh and not a["force"]:
        yield m.step("hit")
    if not m.may_be_stale and not a["force"]:
        return
    yield from _admit_flight(m) if s.flight != "idle" else _admit_idle(m)


def _admit_flight(m):
    s = m.s
    if m.may_be_over:
        yield from _take_over(m)
    # It may also be under way still.
    m.s = s
    yield from _attach(m)


def _take_over(m):
    s = m.s
    if s.flight == "running" and s.attempts >= s.max_attempts:
        yield m.quarantined("negative")
        return
    if s.is_cancelled:
        # No answer comes any more: its caller gets a new job.
        m.s = s._replace(failed_job=s.job, **IDLE)
        yield from _admit_idle(m)
        return
    if s.resends >= MAX_RESENDS:
        yield m.quarantined("negative", "undeliverable")
        return
    out = NOT_OUT if s.flight == "running" else s.sent_at
    longer, _ = _join(m)
    yield _with(m.handed_out("resend", sent_at=out, rests=False, delayed=False), longer)


def _attach(m):
    """A duplicate may start the job sooner, or send one more message.

    Nobody takes over what a pause holds back, or what its queue has not delivered yet: so a duplicate may be
    attached although the time is over. A job that was cancelled under way goes on.
    """
    a = m.args
    m.s = m.s._replace(failure="") if m.s.is_cancelled else m.s
    longer, urgent = _join(m)
    s = m.s
    if urgent and s.flight == "queued" and s.sent_at != NOT_OUT:
        # It may come in the admission's own millisecond; its message does not count then.
        sent_at = PERHAPS_ADMISSION if s.sent_at == ADMISSION else s.sent_at
        yield _with(m.handed_out("resend", sent_at=sent_at), longer)
        return
    if s.delayed and m.may_be_live and not a["countdown"]:
        yield _with(m.handed_out("resend", rests=False, delayed=False), longer)
    if s.delayed and a["countdown"]:
        ends = tuple(map(min, m.b.ends, m.after(a["countdown"])))
        longer = longer | {"ends": ends}
    yield _with(m.step("attached"), longer)


def _join(m):
    """A duplicate prolongs the expiry, and may be more urgent; return the limits, and whether it is."""
    s, a, longer = m.s, m.args, {}
    if s.may_expire and a["expires"] is None:
        longer = {"expires": (NEVER, NEVER)}
        s = s._replace(may_expire=False)
    elif s.may_expire:
        longer = {"expires": tuple(map(max, m.b.expires, m.after(a["expires"])))}
    urgent = a["priority"] is not None and a["priority"] < s.priority
    m.s = s._replace(priority=a["priority"]) if urgent else s
    return longer, urgent


def _with(step, limits):
    return step._replace(bounds=step.bounds._replace(**limits))


def _admit_idle(m):
    s, a = m.s, m.args
    if s.failure in LASTING and not a["force"]:
        yield m.step("negative")
        return
    if s.rests and not a["force"]:
        yield m.step("backoff")
    terms = {"max_attempts": a["max_attempts"], "queue_deadline": a["queue_deadline"]}
    new = {"present": True, "fingerprint": a["fp"], "job": a["job"], "owner": "", "attempts": 0}
    brought = {"priority": a["priority"] or 0, "may_expire": a["expires"] is not None}
    over, limits = m.after(a["countdown"] or a["queue_deadline"]), {}
    if a["expires"] is not None:
        limits["expires"] = m.after(a["expires"])
        over = over if a["countdown"] else tuple(map(min, over, limits["expires"]))
    delay = {"flight": "queued"}
    if a["countdown"]:
        delay |= {"rests": True, "delayed": True, "sent_at": NOT_OUT}
    yield m.step("admitted", over, **limits, **(IDLE | NO_FAILURE | terms | new | brought | delay))


def start(m):
    s, a = m.s, m.args
    if not s.present:
        yield m.step("absent")
    elif s.job != a["job"]:
        yield from _start_of_another_job(m)
    elif s.fingerprint != a["fp"]:
        yield m.step("conflict")
    elif s.flight == "running":
        yield from _start_again(m)
    elif s.flight == "queued":
        yield from _start_queued(m)
    else:
        yield from _start_after_the_end(m)


def _start_queued(m):
    if m.may_be_expired:
        yield m.unrun("unrun", "expired")
    if not m.may_be_unexpired:
        return
    if m.s.rests:
        yield m.step("backoff")
        yield m.step("paused")
    yield from _grant(m)


def _start_again(m):
    if m.s.owner == m.args["owner"]:
        yield m.step("granted")
        return
    if m.may_be_live:
        yield m.step("busy")
    if m.may_be_over:
        yield from _grant(m)


def _start_after_the_end(m):
    if m.s.failure == "undeliverable":
        m.s = m.s._replace(**NO_FAILURE)
        yield from _grant(m)
    elif m.s.failure in LASTING:
        yield m.step("negative")
    else:
        yield m.step("done" if m.s.value else "superseded")


def _start_of_another_job(m):
    if m.s.fingerprint == m.args["fp"] and m.may_be_fresh:
        yield m.step("done")
    if m.s.fingerprint != m.args["fp"] or m.may_be_stale:
        yield m.step("superseded")


def _grant(m):
    """Which pauses hold is no part of the record: `checks.started_while_paused` judges that."""
    s, a = m.s, m.args
    if s.attempts >= s.max_attempts:
        yield m.quarantined("unrun")
        return
    if s.is_cancelled:
        yield m.unrun("unrun", "cancelled")
        return
    fence = -(abs(s.fence) + 1)
    new = {"flight": "running", "owner": a["owner"], "fence": fence, "attempts": s.attempts + 1}
    gone = {"rests": False, "delayed": False, "resender": "", "sent_at": ADMISSION, "resends": 0}
    yield m.step("granted", m.after(a["lease"]), **new, **gone)
    yield m.step("paused", m.after(PAUSE_REST), **BACK)
    # Its message goes back to its queue, and counts as sent now: as with an admission, by the store's clock.
    yield m.step("returned", _deadline(m, s.resends), **RETURNED)


def renew(m):
    if not m.s.present:
        yield m.step("absent")
    elif m.s.owner != m.args["owner"] or m.s.flight != "running":
        yield m.step("fenced")
    else:
        yield m.step("cancelled" if m.s.is_cancelled else "ok", m.after(m.args["lease"]))


def complete(m):
    s = m.s
    if not s.present:
        yield m.step("absent")
    elif s.owner != m.args["owner"]:
        yield m.step("fenced")
    elif s.flight == "idle" and s.failure not in GIVEN_UP:
        yield m.step("ok" if s.value and s.value == s.fence else "fenced")
    else:
        # Also of a job that was given up while its last owner stood still.
        yield m.step("ok", stale=m.after(m.args["soft"]), value=s.fence, **NO_FAILURE, **IDLE)


def fail(m):
    s, a = m.s, m.args
    if not s.present:
        yield m.step("absent")
        return
    if s.owner != a["owner"] or s.flight != "running":
        replayed = s.failed_owner == a["owner"] and s.failed_job == s.job
        yield m.step("ok" if replayed else "fenced")
        return
    spent = s.attempts >= s.max_attempts
    m.s = s._replace(owner="", failed_job=s.job, failed_owner=s.owner)
    if a["kind"] == "transient" and not spent and s.is_cancelled:
        yield m.unrun("ok", "cancelled")
        return
    if a["kind"] == "transient" and not spent:
        yield m.step("ok", m.after(a["after"]), failure="transient", **BACK)
        return
    quarantined = a["kind"] == "transient" and a["quarantine"]
    m.s = m.s._replace(**IDLE)
    if quarantined:
        yield m.step("ok", failure="quarantined")
    else:
        yield m.step("ok", rests=True, failure=a["kind"])


def park(m):
    s, a = m.s, m.args
    if not s.present:
        yield m.step("absent")
    elif s.owner == a["owner"] and s.flight == "idle" and s.failure == "cancelled":
        yield from _park_again(m)
    elif s.owner != a["owner"] or s.flight == "idle":
        yield m.step("fenced")
    elif s.is_cancelled:
        m.s = s._replace(attempts=s.attempts - 1)
        yield m.unrun("cancelled", "cancelled")
    elif s.flight == "running":
        yield m.step("parked", m.after(a["after"]), attempts=s.attempts - 1, **BACK)
    else:
        yield m.step("parked")


def _park_again(m):
    """The reason can be read for a while."""
    if m.may_be_live:
        yield m.step("cancelled")
    if m.may_be_over:
        yield m.step("fenced")


def cancel(m):
    s = m.s
    if not s.present:
        yield m.step("absent")
    elif s.flight == "running":
        yield m.step("running", failure="cancelled", failed_job=s.job)
    elif s.flight == "queued":
        yield m.unrun("cancelled", "cancelled")
    elif s.failure == "cancelled" and m.may_be_live:
        yield m.step("cancelled")
    if s.present and s.flight == "idle" and (s.failure != "cancelled" or m.may_be_over):
        yield m.step("idle")


def resent(m):
    s, a = m.s, m.args
    if not s.present:
        yield m.step("absent")
    elif s.job != a["job"] or s.flight != "queued":
        yield m.step("fenced")
    else:
        if s.sent_at in (PERHAPS_ADMISSION, a["sent_at"]):
            # It counts once.
            yield m.step("ok")
        if s.sent_at != a["sent_at"]:
            yield _resent(m)
            # Or its message was delivered, and the job is queued again since: nothing is handed out.
            yield m.step("fenced")


def _resent(m):
    resends = m.s.resends + 1
    return m.step("ok", _deadline(m, resends), resender="", sent_at=m.args["sent_at"], resends=resends)


def _deadline(m, resends):
    over = m.after(m.s.queue_deadline * 2**resends)
    return tuple(map(min, over, m.b.expires)) if m.s.may_expire else over


def invalidate(m):
    if not m.s.present:
        yield m.step("absent")
        return
    yield Step("ok", State(present=True, fence=m.s.fence), m.b)


def lose(m):
    """The record is deleted by a fault."""
    yield Step("ok", State(), m.b)


VERBS = {
    verb.__name__: verb
    for verb in (
        read,
        admit,
        start,
        renew,
        complete,
        fail,
        park,
        cancel,
        resent,
        invalidate,
        lose,
    )
}
