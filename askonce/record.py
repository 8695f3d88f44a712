"""The record of one key: its states, and every number that its rules use.

A record has two independent parts. The *value* is none, fresh or stale; a failure may answer in its place
for a while. The *flight* is idle, queued (a message is on its way) or running (leased).

               admit                 start                complete
    ABSENT ───────────► QUEUED ───────────────► RUNNING ───────────► DONE
                          ▲ ▲   fail(transient)   │ │                  │ soft_ttl
                          │ └─────────────────────┘ │ fail(permanent)  ▼
                          │       park, reap        ├────► FAILED    STALE ── admit ──► QUEUED
                          │                         │                  │ hard_ttl
                          └── admit, once it is over┴────► QUARANTINED └────► ABSENT
                                                        attempts spent

A stale value stays readable while its refresh is queued or running. ``cancel`` ends a queued job without an
answer, and so does its expiry. A job that is cancelled while it runs keeps that as a failure: what would
queue it again ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from askonce.job import Fingerprint, JobId, Owner, Routing
from askonce.spend import NOTHING, Spend

if TYPE_CHECKING:
    from askonce.answer import StoredValue
    from askonce.errors import JobError

Flight = Literal["idle", "queued", "running"]
#: A fallback is a failure whose waiters get a substitute.
FailureOrFallback = Literal[
    "transient", "permanent", "configuration", "quarantined", "fallback", "expired", "cancelled"
]

#: Version of the record's fields. A record with a higher one is left to newer processes.
LAYOUT = 2
#: Records are spread over this many buckets; a bucket is one hash tag, so one slot of a cluster.
BUCKETS = 256
#: Seconds: a job in flight outlives any outage of the workers, a quarantined one any holiday.
FLIGHT_KEPT = 604_800.0
QUARANTINE_KEPT = 604_800.0
#: Seconds, longer than any lease: a late ``complete`` must still be fenced. Every record without an answer
#: lasts so long after its job ended: an older message that finds none belongs to a job that may have ended.
TOMBSTONE_KEPT = 3_600.0
#: Seconds for which waiters can read why a job ended, where the failure answers no later caller.
REASON_KEPT_FOR = 120.0
#: Seconds for which those who waited for a job get its answer, however short it is kept for others.
WAITERS_KEPT = 30.0
#: A job whose message was sent again this often without a start is undeliverable.
MAX_RESENDS = 5
#: The queue deadline doubles with each resend, at most this often.
MAX_DOUBLINGS = 16
#: Seconds, at most the queue deadline, for which a job that was handed out is handed out to no other process.
HANDED_OUT = 30.0
#: Seconds: a message counts as lost once its queue has delivered one that is so much younger. Two producers
#: may send in another order than the store admitted.
PROGRESS_SLACK = 1.0
#: Seconds, at most, until a job that waits long in its queue is looked at again.
LOOK_REST = 600.0
#: Looks of one script; most of them find a job that waits in its queue.
LOOKS = 100
#: Jobs that a pause put aside, and that one script takes up again.
RESUMED_LOOKS = 200
#: Jobs in flight that one script looks at for those of a run.
CANCEL_LOOKS = 100
#: Seconds: a paused job may try to start again after the first, and is put aside by reapers for the second.
PAUSE_REST, PAUSE_LOOK = 1.0, 302_400.0
#: Seconds: waits and runs are counted by the first of these that they do not exceed.
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
#: Names in the counters of one bucket, and in the sum of all days or of one; beyond that tenants share one.
MAX_COUNTERS, MAX_SUMMED = 2_000, 50_000
#: Marks in one bucket, and each is in all of them: so many take 40 MB of the server.
MAX_MARKS = 2_000
#: Seconds for which a mark is kept at least, beside the time of the answers: longer than any run.
MARK_KEPT = 86_400.0
#: The reasons of so many earlier attempts are kept, each cut to so many characters.
HISTORY_KEPT, REASON_KEPT = 8, 40
#: Seconds until the reaper looks again at a record that is damaged, or that a newer version wrote.
DAMAGED_REST = 60.0


#: What a caller who waited in vain for a queued job is told of it, where a pause holds it back.
PAUSED = "paused"


class Status(Enum):
    """The state of a key, as people see it."""

    #: Nothing is known.
    ABSENT = "absent"
    #: A job waits for a worker.
    QUEUED = "queued"
    #: A worker holds the lease.
    RUNNING = "running"
    #: The answer is fresh.
    DONE = "done"
    #: The answer may be served only when a call fails.
    STALE = "stale"
    #: The call cannot succeed for this payload; kept for failure_ttl.
    FAILED = "failed"
    #: The attempts are spent; an operator decides.
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why the last run of a job gave no answer; a fallback carries what its waiters get."""

    kind: FailureOrFallback
    reason: str
    job: JobId
    #: Seconds for which the failure still answers in place of a call.
    remaining: float
    fallback: StoredValue | None = None
    #: What all attempts of the job cost; its ``cost_usd`` is None where that of one is unknown.
    spend: Spend = field(default_factory=Spend)


class Parked(NamedTuple):
    """A job that was put back before anything was paid."""

    reason: str
    #: Seconds since it was parked first; where a pause did it, since then.
    seconds: float
    #: 0: by a pause, not by a worker that held it.
    times: int


class Snapshot(NamedTuple):
    """One record at one moment of the store's clock; times in seconds.

    Only ``read`` fills *task*, *fingerprint*, *owner*, *lost*, *late*, *due_at*, *ended_at* and *removed_at*.
    A writer knows the first two, and the owner's token authorises writes.
    """

    present: bool = False
    #: Milliseconds by the store's clock; messages carry it.
    now: int = 0
    task: str = ""
    fingerprint: Fingerprint = Fingerprint("")
    flight: Flight = "idle"
    job: JobId = JobId("")
    owner: Owner = Owner("")
    fence: int = 0
    #: Until the lease ends or the message counts as lost; negative when it is over.
    deadline_in: float = 0.0
    attempts: int = 0
    resent: int = 0
    #: Until the next attempt may start.
    wait: float = 0.0
    checkpoint: str = ""
    value: StoredValue | None = None
    failure: Failure | None = None
    parked: Parked | None = None
    #: The note of the pause that holds the job back.
    paused: str | None = None
    #: The answer, past its time: only for those who waited for *job*.
    late: StoredValue | None = None
    #: No worker will start the job by itself any more: its message is sent again.
    lost: bool = False
    #: Why the record cannot be read; then nothing else of it is known.
    error: JobError | None = None
    #: What the admission brought; ``read``, and a reply to a caller that must send the message.
    routing: Routing | None = None
    run: str = ""
    tenant: str = ""
    model: str = ""
    version: str = ""
    admitted_at: int = 0
    tags: tuple[str, ...] = ()
    #: Until when its start is or was put off, in seconds since 1970; 0 where it is not.
    due_at: float = 0.0
    #: When the job ended without an answer, in seconds since 1970; 0 where it did not, or that is unknown.
    ended_at: float = 0.0
    #: When an answer was removed before its time, in microseconds as fences; 0 where none was since the last.
    removed_at: int = 0
    #: What the job's earlier attempts cost; only the reply to a start that is granted.
    spent: Spend = NOTHING

    def checked(self) -> Self:
        """Return this record.

        Raises:
            RecordDamaged: something else wrote to it.
            LayoutNewer: a newer version wrote it.
        """
        if self.error is not None:
            raise self.error
        return self

    @property
    def is_cancelled(self) -> bool:
        """Whether no call follows the one that is under way."""
        return self.flight == "running" and self.failure is not None and self.failure.kind == "cancelled"

    @property
    def status(self) -> Status:
        """Return the state that people see."""
        if self.flight != "idle":
            return Status.RUNNING if self.flight == "running" else Status.QUEUED
        if self.failure is not None and self.failure.remaining > 0:
            if self.failure.kind == "quarantined":
                return Status.QUARANTINED
            if self.failure.kind == "permanent":
                return Status.FAILED
        if self.value is None:
            return Status.ABSENT
        return Status.DONE if self.value.fresh else Status.STALE


def ended_at(seen: Snapshot, *, due_at: int, kept_until: int) -> float:
    """Return when the job of an idle record ended without an answer; 0 where that is unknown.

    No field of a record has this time alone. A failure is kept for a known time, but a permanent one: its
    next attempt is due at once (*due_at*). A record that never had an answer is kept for a known time too
    (*kept_until*; 0 where it had one). Both are in milliseconds.
    """
    if seen.flight != "idle":
        return 0.0
    if seen.failure is None:
        return max(0.0, kept_until / 1000 - TOMBSTONE_KEPT)
    if seen.failure.kind == "permanent":
        return due_at / 1000
    kept = QUARANTINE_KEPT if seen.failure.kind == "quarantined" else REASON_KEPT_FOR
    return seen.now / 1000 + seen.failure.remaining - kept
