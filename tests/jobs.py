"""Jobs, claims, leases and answers for tests that call a store directly."""

from askonce.answer import Encoded, Ttl
from askonce.claim import Claim, Terms
from askonce.job import Job
from askonce.lost import Delivered
from askonce.store import Lease

ANSWER = Encoded(b"j1", b"")
TTL = Ttl(60.0, 600.0)
#: What a worker reports of the queue that has no name: it is empty.
DELIVERED = [Delivered("", seconds=0.0)]


class OneQueue:
    """The routes of a sender with one queue, which has no name."""

    more_urgent = ">"

    def route(self, job, _row, _options=None):
        return job.routing


def new_job(key, job_id="job-1", *, task="t", payload=b"{}", fingerprint="fp-1"):
    """Return a job under any key; its payload need not belong to it."""
    return Job(key=key, id=job_id, fingerprint=fingerprint, task=task, payload=payload)


def new_claim(key, job_id="job-1", *, task="t", **terms):
    return Claim(
        new_job(key, job_id, task=task), Terms(**{"queue_deadline": 60.0, "max_attempts": 3, **terms})
    )


def new_lease(key, owner="owner-1", seconds=30.0):
    return Lease(key, owner, seconds)


def new_header(job, **changes):
    """Return the header by which a worker knows *job*."""
    own = {"version": job.version, "tenant": job.tenant, "run": job.run}
    times = {"admitted_at": job.admitted_at, "sent_at": job.admitted_at}
    return {"key": job.key, "fingerprint": job.fingerprint, **own, **times, **changes}
