"""The record of one key as the checker knows it: which replies a verb may give, and what it leaves behind.

Written from the rules in words (docs/state-machine.md), not from the scripts. Time is an interval: a verb
took effect somewhere between its invocation and its reply, so a lease has an earliest and a latest end, and
is over if it may be over, live if it may be live. A fence that nobody was told yet is the negative of its
lowest possible value.
"""

from typing import NamedTuple

#: Seconds by which the server's clock and ours may disagree about a duration.
SLACK = 0.1
LASTING = ("permanent", "quarantined", "undeliverable")
NEVER = float("inf")


class State(NamedTuple):
    present: bool = False
    flight: str = "idle"
    job: str = ""
    owner: str = ""
    fence: int = 0
    fingerprint: str = ""
    value: int = 0  # the fence of the answer
    failure: str = ""
    failed_job: str = ""
    failed_owner: str = ""
    rests: bool = False
    resender: str = ""
    attempts: int = 0
    max_attempts: int = 0
    queue_deadline: float = 0.0


class Bounds(NamedTuple):
    now: float = 0.0  # not earlier than this
    ends: tuple[float, float] = (0.0, 0.0)  # of the lease, or of the wait for a message
    stale: tuple[float, float] = (0.0, 0.0)  # of the answer's freshness

    def merge(self, other):
        """The widest of both: allows whatever one of them allows."""
        return Bounds(min(self.now, other.now), _hull(self.ends, other.ends), _hull(self.stale, other.stale))


def _hull(one, other):
    return min(one[0], other[0]), max(one[1], other[1])


class Step(NamedTuple):
    outcome: str
    state: State
    bounds: Bounds


class Moment:
    """A state within the time in which one verb took effect."""

    def __init__(self, state, bounds, op, latest):
        self.s, self.args = state, op.args
        self.lo, self.hi = max(bounds.now, op.invoked), latest
        self.b = bounds._replace(now=self.lo)

    def step(self, outcome, ends=None, stale=None, **changes):
        bounds = self.b._replace(ends=ends or self.b.ends, stale=stale or self.b.stale)
        return Step(outcome, self.s._replace(**changes) if changes else self.s, bounds)

    def after(self, seconds):
        return self.lo + seconds, self.hi + seconds

    @property
    def may_be_over(self):
        return self.hi + SLACK >= self.b.ends[0]

    @property
    def may_be_live(self):
        return self.lo - SLACK < self.b.ends[1]

    @property
    def may_be_fresh(self):
        return bool(self.s.value) and self.lo - SLACK < self.b.stale[1]

    @property
    def may_be_stale(self):
        return not self.s.value or self.hi + SLACK >= self.b.stale[0]

    def quarantined(self, outcome, kind="quarantined"):
        told = {"failed_job": self.s.job, "failed_owner": self.s.owner}
        return self.step(outcome, flight="idle", rests=False, failure=kind, **told)


NO_FAILURE = {"failure": "", "failed_job": "", "failed_owner": ""}


def steps(state, bounds, op, latest):
    """What *op* may answer and leave behind, if it takes effect not after *latest*."""
    for before, limits in [(state, bounds), *_reaped(state, bounds, latest)]:
        yield from VERBS[op.verb](Moment(before, limits, op, latest))


def _reaped(s, b, latest):
    """Any reaper may have been here once a flight's time is over."""
    if s.flight == "idle" or latest + SLACK < b.ends[0]:
        return
    told = {"failed_job": s.job, "failed_owner": s.owner, "flight": "idle", "rests": False}
    if s.flight == "running" and s.attempts >= s.max_attempts:
        yield s._replace(failure="quarantined", **told), b
        return
    ends = b.ends[0] + 2 * s.queue_deadline - SLACK, NEVER
    yield s._replace(flight="queued", rests=False, resender=""), b._replace(ends=ends)
    # Five resends, each of which waits twice as long as the one before.
    if latest > 62 * s.queue_deadline:
        yield s._replace(failure="undeliverable", **told), b


def read(m):
    yield m.step("ok")


def admit(m):
    a = m.args
    if m.s.fingerprint and m.s.fingerprint != a["fp"]:
        m.s = m.s._replace(value=0, flight="idle", rests=False, job="", **NO_FAILURE)
    s = m.s
    if s.flight == "queued" and s.job == a["job"]:
        yield m.step("admitted")
        return
    if s.flight == "queued" and s.resender == a["job"]:
        yield m.step("resend")
        return
    if m.may_be_fresh and not a["force"]:
        yield m.step("hit")
    if not m.may_be_stale and not a["force"]:
        return
    yield from _admit_flight(m) if s.flight != "idle" else _admit_idle(m)


def _admit_flight(m):
    s, a = m.s, m.args
    if m.may_be_live:
        yield m.step("attached")
    if not m.may_be_over:
        return
    if s.flight == "running" and s.attempts >= s.max_attempts:
        yield m.quarantined("negative")
        return
    ends = m.lo + s.queue_deadline, NEVER
    yield m.step("resend", ends, flight="queued", resender=a["job"], rests=False)


def _admit_idle(m):
    s, a = m.s, m.args
    if s.failure in LASTING and not a["force"]:
        yield m.step("negative")
        return
    if s.rests and not a["force"]:
        yield m.step("backoff")
    if s.job == a["job"]:
        yield m.step("attached")
        return
    terms = {"max_attempts": a["max_attempts"], "queue_deadline": a["queue_deadline"]}
    new = {"present": True, "fingerprint": a["fp"], "flight": "queued", "job": a["job"], "owner": ""}
    nothing = {"attempts": 0, "resender": "", "rests": False, **NO_FAILURE}
    yield m.step("admitted", m.after(a["queue_deadline"]), **terms, **new, **nothing)


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
        if s.rests:
            yield m.step("backoff")
        yield _grant(m)
    else:
        yield _start_after_the_end(m)


def _start_again(m):
    if m.s.owner == m.args["owner"]:
        yield m.step("granted")
        return
    if m.may_be_live:
        yield m.step("busy")
    if m.may_be_over:
        yield _grant(m)


def _start_after_the_end(m):
    if m.s.failure == "undeliverable":
        m.s = m.s._replace(**NO_FAILURE)
        return _grant(m)
    if m.s.failure in LASTING:
        return m.step("negative")
    return m.step("done" if m.s.value else "superseded")


def _start_of_another_job(m):
    if m.s.fingerprint == m.args["fp"] and m.may_be_fresh:
        yield m.step("done")
    if m.s.fingerprint != m.args["fp"] or m.may_be_stale:
        yield m.step("superseded")


def _grant(m):
    s, a = m.s, m.args
    if s.attempts >= s.max_attempts:
        return m.quarantined("negative")
    fence = -(abs(s.fence) + 1)
    new = {"flight": "running", "owner": a["owner"], "fence": fence, "attempts": s.attempts + 1}
    return m.step("granted", m.after(a["lease"]), rests=False, resender="", **new)


def renew(m):
    if not m.s.present:
        yield m.step("absent")
    elif m.s.owner != m.args["owner"] or m.s.flight != "running":
        yield m.step("fenced")
    else:
        yield m.step("ok", m.after(m.args["lease"]))


def complete(m):
    s = m.s
    if not s.present:
        yield m.step("absent")
    elif s.owner != m.args["owner"]:
        yield m.step("fenced")
    elif s.flight == "idle" and s.failure not in ("quarantined", "undeliverable"):
        yield m.step("ok" if s.value and s.value == s.fence else "fenced")
    else:
        # Also of a job that was given up while its last owner stood still.
        stale = m.after(m.args["soft"])
        yield m.step("ok", stale=stale, value=s.fence, flight="idle", rests=False, **NO_FAILURE)


def fail(m):
    s, a = m.s, m.args
    if not s.present:
        yield m.step("absent")
        return
    if s.owner != a["owner"] or s.flight != "running":
        replayed = s.failed_owner == a["owner"] and s.failed_job == s.job
        yield m.step("ok" if replayed else "fenced")
        return
    spent, told = s.attempts >= s.max_attempts, {"failed_job": s.job, "failed_owner": s.owner, "owner": ""}
    if a["kind"] == "transient" and not spent:
        ends = m.after(a["after"])
        yield m.step("ok", ends, flight="queued", rests=True, failure="transient", **told)
    elif a["kind"] == "transient" and a["quarantine"]:
        yield m.step("ok", flight="idle", rests=False, failure="quarantined", **told)
    else:
        yield m.step("ok", flight="idle", rests=True, failure=a["kind"], **told)


def release(m):
    s = m.s
    if not s.present:
        yield m.step("absent")
    elif s.owner != m.args["owner"] or s.flight == "idle":
        yield m.step("fenced")
    elif s.flight == "running":
        yield m.step("ok", m.after(0), flight="queued", attempts=s.attempts - 1)
    else:
        yield m.step("ok")


def invalidate(m):
    if not m.s.present:
        yield m.step("absent")
        return
    fence, terms = m.s.fence, {"max_attempts": m.s.max_attempts, "queue_deadline": m.s.queue_deadline}
    yield Step("ok", State(present=True, fence=fence, **terms), m.b)


def lose(m):
    """The record is deleted by a fault."""
    yield Step("ok", State(), m.b)


VERBS = {
    verb.__name__: verb for verb in (read, admit, start, renew, complete, fail, release, invalidate, lose)
}
