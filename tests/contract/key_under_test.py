"""One key on one store: the only place of this folder that builds claims, leases and answers."""

from dataclasses import dataclass

from askonce.answer import Encoded, Meta, Ttl
from askonce.claim import Claim, Terms
from askonce.job import Job
from askonce.lost import Budget, Delivered, Resent
from askonce.record import BUCKETS
from askonce.spend import Spend
from askonce.store import Failing, Lease, Push

BUCKET = 10
KEY = "0a" + "0" * 62
ANSWER = b'j"answer"'
META = Meta(attempts=1, spend=Spend(usage={"input_tokens": 7}, cost_usd=0.25)).encode()
_OF_TERMS = set(Terms._fields)


@dataclass
class KeyUnderTest:
    """The store's verbs on one key, each with arguments that a test may leave out."""

    store: object
    clock: object
    key: str = KEY

    def at(self, key):
        """Return the same for another key."""
        return KeyUnderTest(self.store, self.clock, key)

    def job(self, job="job-1", fingerprint="fp-1", *, task="orders", payload=b'{"n":1}', **part_of_key):
        """Return the job that messages, claims and lost jobs of this key carry."""
        return Job(key=self.key, id=job, fingerprint=fingerprint, task=task, payload=payload, **part_of_key)

    def claim(self, job="job-1", fingerprint="fp-1", **more):
        terms = {name: more.pop(name) for name in _OF_TERMS & more.keys()}
        terms = Terms(**{"queue_deadline": 60.0, "max_attempts": 3} | terms)
        return Claim(self.job(job, fingerprint, **more), terms)

    def admit(self, job="job-1", fingerprint="fp-1", **more):
        return self.store.admit(self.claim(job, fingerprint, **more))

    def push_many(self, claims):
        """Admit *claims* and push their messages."""
        pushes = [Push(claim, "queue", b"\x015", "{}") for claim in claims]
        return self.store.pusher.admit_and_push_many(pushes)

    def lease(self, owner="owner-1", seconds=30.0):
        """Return a lease that was never granted, or one that was: a store compares the owner alone."""
        return Lease(self.key, owner, seconds)

    def start(self, owner="owner-1", job="job-1", fingerprint="fp-1", lease=30.0, *, age=None, returns=False):
        """Start the job by its message, which is *age* seconds old."""
        admitted_at = 0 if age is None else round((self.clock() - age) * 1000)
        job = self.job(job, fingerprint, admitted_at=admitted_at)
        return self.store.start(job, self.lease(owner, lease), returns=returns)

    def renew(self, owner="owner-1", lease=30.0):
        return self.store.renew([self.lease(owner, lease)])[0]

    def checkpoint(self, owner="owner-1", reference="resp-1"):
        return self.store.checkpoint(self.lease(owner), reference)

    def complete(
        self,
        owner="owner-1",
        data=ANSWER,
        soft=60.0,
        hard=600.0,
        *,
        meta=META,
        micro_usd=None,
        book=None,
        **kept,
    ):
        encoded, ttl = Encoded(data, meta, micro_usd), Ttl(soft, hard)
        return self.store.complete(self.lease(owner), encoded, ttl, book, **kept)

    def put(self, data=ANSWER, soft=60.0, hard=600.0, *, job="job-1", fingerprint="fp-1", **part_of_key):
        encoded = Encoded(data, META)
        return self.store.put(self.job(job, fingerprint, **part_of_key), encoded, Ttl(soft, hard))

    def fail(self, owner="owner-1", kind="transient", reason="http_503", *, data=None, meta=b"", **more):
        fallback = None if data is None else Encoded(data, meta)
        failing = Failing(kind=kind, reason=reason, fallback=fallback, **more)
        return self.store.fail(self.lease(owner), failing)

    def park(self, owner="owner-1", reason="http_429", after=9.0, within=600.0, spent=b""):
        return self.store.park(self.lease(owner), reason, after, within, spent)

    def cancel(self, run=None):
        return self.store.cancel(self.key, run)

    def invalidate(self, *, expire=False):
        return self.store.invalidate(self.key, expire=expire)

    def reap(self, jobs=100, size=1 << 20, *, delivered=None):
        """Look for lost jobs; by default every queue has delivered all of its messages."""
        delivered = [Delivered("", seconds=0.0)] if delivered is None else delivered
        return self.store.reap([BUCKET], delivered, Budget(jobs, size))

    def deliver(self, queue="", priority="*", seconds=0.0):
        """Report that a queue has delivered all of its messages, up to *seconds* ago."""
        self.store.reap([BUCKET], [Delivered(queue, priority, seconds=seconds)], Budget(jobs=0))

    def resend(self, jobs=100, **more):
        """Look for lost jobs, and send their messages again."""
        lost = self.reap(jobs, **more)
        self.store.resent([Resent(each.job.key, each.job.id, each.sent_at) for each in lost])
        return lost

    def read(self):
        return self.store.read([self.key])[0]

    def show(self, *, payload=False):
        """Return this key's dead letter; None where it has none."""
        return self.store.letters.show([self.key], payload=payload)[0]

    def run(self, owner="owner-1", job="job-1", **terms):
        """Admit and start in one go."""
        self.admit(job, **terms)
        return self.start(owner, job)

    def done(self, owner="owner-1", job="job-1", **times):
        self.run(owner, job)
        self.complete(owner, **times)

    def going_stale(self, within=60.0, task="orders"):
        return self.store.due.going_stale(range(BUCKETS), task, within)

    def quarantined(self):
        self.run(max_attempts=1)
        self.fail()
