"""The record of one key as the checker knows it.

Time is an interval: a verb took effect somewhere between its invocation and its reply, so a lease has an
earliest and a latest end, and is over if it may be over, live if it may be live. A fence that nobody was
told yet is the negative of its lowest possible value.
"""

from typing import NamedTuple

#: Seconds by which the server's clock and ours may disagree about a duration.
SLACK = 0.1
LASTING = ("permanent", "quarantined", "undeliverable")
#: Ends of a job that no worker ran.
UNRUN = ("cancelled", "expired")
NEVER = float("inf")
ADMISSION, PERHAPS_ADMISSION, NOT_OUT = -1, -2, 0
MAX_RESENDS, HANDED_OUT, PAUSE_REST, REASON_KEPT = 5, 30.0, 1.0, 120.0


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
    #: Its first caller delayed the start, and no worker had it yet.
    delayed: bool = False
    resender: str = ""
    #: The last message's time: as `resent` gave it, the admission's (or perhaps), or none is out.
    sent_at: int = ADMISSION
    resends: int = 0
    #: The broker's number; the lower one is more urgent.
    priority: int = 0
    may_expire: bool = False
    attempts: int = 0
    max_attempts: int = 0
    queue_deadline: float = 0.0

    @property
    def is_cancelled(self):
        """The call under way is the job's last."""
        return self.flight == "running" and self.failure == "cancelled"


class Bounds(NamedTuple):
    now: float = 0.0  # not earlier than this
    #: Of the lease; of the wait for a message, or for who was handed it; of the reason of an unrun job.
    ends: tuple[float, float] = (0.0, 0.0)
    stale: tuple[float, float] = (0.0, 0.0)  # of the answer's freshness
    expires: tuple[float, float] = (0.0, 0.0)  # of a queued job

    def merge(self, other):
        """The widest of both: allows whatever one of them allows."""
        hulls = (_hull(one, two) for one, two in zip(self[1:], other[1:], strict=True))
        return Bounds(min(self.now, other.now), *hulls)


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

    def step(self, outcome, ends=None, stale=None, expires=None, **changes):
        b = self.b
        bounds = b._replace(ends=ends or b.ends, stale=stale or b.stale, expires=expires or b.expires)
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

    @property
    def may_be_expired(self):
        return self.s.may_expire and self.s.flight == "queued" and self.hi + SLACK >= self.b.expires[0]

    @property
    def may_be_unexpired(self):
        return not self.s.may_expire or self.lo - SLACK < self.b.expires[1]

    def quarantined(self, outcome, kind="quarantined"):
        return self.step(outcome, failure=kind, failed_job=self.s.job, **IDLE)

    def handed_out(self, outcome, **changes):
        over = self.after(min(HANDED_OUT, self.s.queue_deadline))
        return self.step(outcome, over, flight="queued", resender=self.args["job"], **changes)

    def unrun(self, outcome, kind):
        """The job ends, and no worker runs it; its waiters can read why for a while."""
        return self.step(outcome, self.after(REASON_KEPT), failure=kind, failed_job=self.s.job, **IDLE)


NO_FAILURE = {"failure": "", "failed_job": "", "failed_owner": ""}
#: What the end of a flight leaves.
IDLE = {
    "flight": "idle",
    "rests": False,
    "delayed": False,
    "resender": "",
    "sent_at": ADMISSION,
    "resends": 0,
    "may_expire": False,
}
#: What a worker gives back: no message is out until somebody was handed the job.
BACK = {
    "flight": "queued",
    "rests": True,
    "delayed": False,
    "resender": "",
    "sent_at": NOT_OUT,
    "resends": 0,
}
#: What a worker leaves to its message, which goes back to its queue.
RETURNED = {"flight": "queued", "rests": False, "delayed": False, "resender": "", "sent_at": ADMISSION}
