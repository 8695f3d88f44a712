from concurrent.futures import ThreadPoolExecutor

import pytest

from askonce.enqueue import Producer
from askonce.execute import Executor
from askonce.execution import Computed, Delivery
from askonce.lease import LeaseRenewer
from askonce.spec import JobSpec
from askonce.store import Admission, Start
from tests.jobs import OneQueue

# One suite for every store: messages and waiters that come after their job ended.


def start(scene, job, kept=3600.0):
    return scene.store.start(job, scene.lease("owner-2"), kept).outcome


@pytest.mark.parametrize(
    ("age", "kept", "outcome"),
    [
        (299.999, 300.0, Start.ABSENT),
        (300.0, 300.0, Start.ENDED),
        (3599.0, 3600.0, Start.ABSENT),
        (3600.0, 3600.0, Start.ENDED),
        (604_800.0, 3600.0, Start.ENDED),
    ],
)
def test_late_copy_without_a_record_starts_no_job_that_may_have_ended(scene, age, kept, outcome):
    job = scene.job(admitted_at=int(scene.clock() * 1000))
    scene.clock.advance(age)

    assert outcome is start(scene, job, kept)
    assert not scene.read().present


def test_message_of_unknown_age_may_start_a_lost_job(scene):
    assert Start.ABSENT is start(scene, scene.job(admitted_at=0))


def test_late_copy_of_an_answered_job_is_no_new_job(scene):
    admitted_at = scene.admit().record.now
    scene.start()
    scene.complete(soft=300.0, hard=300.0)
    outcomes = []
    for _ in range(6):
        scene.clock.advance(60)
        outcomes.append(start(scene, scene.job(admitted_at=admitted_at), 300.0))

    assert [Start.DONE] * 4 + [Start.ENDED] * 2 == outcomes


@pytest.mark.parametrize("end", ["permanent", "cancelled", "expired", "quarantined"])
def test_record_outlives_the_messages_of_a_job_without_an_answer(scene, end):
    admitted_at = scene.admit(expires=9.0 if end == "expired" else None, max_attempts=1).record.now
    if end in ("permanent", "quarantined"):
        scene.start()
        scene.fail(kind="permanent" if end == "permanent" else "transient", keep=1.0)
    elif end == "cancelled":
        scene.cancel()
    else:
        scene.clock.advance(9)
        scene.reap()

    outcomes = set()
    for _ in range(8):
        scene.clock.advance(600)
        outcomes.add(start(scene, scene.job(admitted_at=admitted_at)))

    assert outcomes <= {Start.SUPERSEDED, Start.NEGATIVE, Start.ENDED}


def test_claim_of_an_ended_job_is_a_new_one(scene):
    scene.done(soft=60.0)
    fresh = scene.admit("job-1")
    scene.clock.advance(60)

    again = scene.admit("job-1")

    assert (Admission.HIT, Admission.ADMITTED) == (fresh.outcome, again.outcome)
    assert Start.GRANTED is scene.start("owner-2", "job-1").outcome


class OneCall(OneQueue):
    """Ten callers, one worker, and an answer that is kept for less time than a wake-up takes."""

    def __init__(self, scene):
        self.scene, self.sent, self.calls = scene, [], 0
        self.spec = JobSpec(name="rates.fetch", soft_ttl=0.125, hard_ttl=0.125)
        self.producer = Producer(store=scene.store, sender=self)
        self.executor = Executor(store=scene.store, leases=LeaseRenewer(scene.store))

    def send(self, message):
        self.sent.append(message)

    def work(self):
        def body():
            self.calls += 1
            return {"rate": self.calls}

        return self.executor.execute(Delivery(spec=self.spec, job=self.sent[-1].job), body)


def test_short_lived_answer_reaches_the_ten_who_waited(scene):
    herd = OneCall(scene)
    handles = [herd.producer.enqueue(herd.spec, {"day": 1}).handle for _ in range(10)]
    assert isinstance(herd.work(), Computed)
    scene.clock.advance(5)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda handle: handle.result(10).value, handles))

    assert [{"rate": 1}] * 10 == answers
    assert (1, 1) == (herd.calls, len(herd.sent))


def test_short_lived_answer_is_no_hit_for_a_later_caller(scene):
    herd = OneCall(scene)
    herd.producer.enqueue(herd.spec, {"day": 1})
    herd.work()
    scene.clock.advance(5)
    later = herd.producer.enqueue(herd.spec, {"day": 1})
    herd.work()

    assert {"rate": 2} == later.handle.result(10).value
    assert 2 == len(herd.sent)
