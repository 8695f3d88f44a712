import os
import signal
from contextlib import closing
from time import monotonic

import pytest

from askonce.adapters.redis.store import RedisStore
from askonce.errors import StoreUnavailable
from askonce.record import Status
from askonce.store import Admission, Claim, Write
from tests.deadlines import stretched
from tests.records import open_records
from tests.servers.clusters import Watched, ask

pytestmark = [pytest.mark.fault, pytest.mark.servers]

KEY = "0a" + "0" * 62


def claim(job):
    return Claim(
        key=KEY,
        job=job,
        fingerprint="fp-1",
        task="orders",
        payload=b"{}",
        queue_deadline=60.0,
        max_attempts=3,
    )


@pytest.fixture
def watched():
    with Watched() as watched:
        yield watched


@pytest.fixture
def store(watched):
    with closing(RedisStore.from_url(watched.url, namespace="jobs")) as store:
        yield store


@pytest.fixture
def patient(eventually):
    """Ask until there is an answer."""

    def ask_again(question):
        def answered():
            try:
                return question()
            except StoreUnavailable:
                return None

        return eventually(answered, 30)

    return ask_again


def test_replicated_record_outlives_its_primary(watched, store, patient):
    store.admit(claim("job-1"))
    store.start(KEY, "job-1", "owner", "fp-1", 60.0)
    watched.await_replica()
    watched.primary.kill()

    began = monotonic()
    with pytest.raises(StoreUnavailable):
        store.read([KEY])
    # Nobody hangs: 0.6 s by the design, and room for a busy machine.
    assert monotonic() - began < stretched(1.0)

    assert Admission.ATTACHED is patient(lambda: store.admit(claim("job-2"))).outcome
    assert Write.OK is store.complete(KEY, "owner", b"j1", b"{}", 60.0, 60.0)


def test_primary_that_hangs_is_left_for_its_replica(watched, store, patient):
    store.admit(claim("job-1"))
    watched.await_replica()
    os.kill(watched.primary.pid, signal.SIGSTOP)
    try:
        began = monotonic()
        with pytest.raises(StoreUnavailable):
            store.read([KEY])
        assert monotonic() - began < stretched(1.0)

        watched.await_failover()
        assert Admission.ATTACHED is patient(lambda: store.admit(claim("job-2"))).outcome
    finally:
        os.kill(watched.primary.pid, signal.SIGCONT)


def test_demoted_primary_that_still_answers_is_left(watched, store, patient):
    store.admit(claim("job-1"))
    watched.await_replica()
    ask(watched.sentinels[0], "SENTINEL", "FAILOVER", "main")
    watched.await_failover()

    # Its idle connection may still lead to the old one, which takes no writes.
    assert Write.OK is patient(lambda: store.invalidate(KEY))
    assert Admission.ADMITTED is store.admit(claim("job-2")).outcome


def test_claim_that_was_not_replicated_is_made_again(watched, store, patient):
    store.admit(claim("job-0"))
    watched.await_replica()
    # The replica hears nothing more.
    ask(watched.replica, "REPLICAOF", "NO", "ONE")
    store.invalidate(KEY)
    store.admit(claim("job-1"))
    store.start(KEY, "job-1", "owner-1", "fp-1", 60.0)
    watched.primary.kill()
    watched.await_failover()

    assert "job-0" == patient(lambda: store.read([KEY]))[0].job
    # So there may be a second call, but one answer: the first owner is fenced.
    assert "granted" == store.start(KEY, "job-0", "owner-2", "fp-1", 60.0).outcome.value
    assert Write.FENCED is store.complete(KEY, "owner-1", b"j1", b"{}", 60.0, 60.0)
    assert Write.OK is store.complete(KEY, "owner-2", b"j2", b"{}", 60.0, 60.0)


@pytest.fixture
def watched_scene(watched, new_scene):
    """A machine whose records and messages are where the sentinels say."""
    scene = new_scene(REDIS_URL=watched.url, CELERY_BROKER_URL=watched.url, JOB_QUEUE_DEADLINE="5")
    scene.store.close()
    scene.store = open_records(watched.url, "jobs")
    return scene


def test_workers_and_producers_go_on_after_a_failover_at_no_extra_call(watched, watched_scene):
    scene = watched_scene
    scene.machine.start_worker("-P", "threads", "-c", "2")
    keys = scene.hold_meetings(2)
    keys += scene.submit("meetings.extract", scene.meetings(4))
    watched.await_replica()

    watched.primary.kill()
    watched.await_failover()
    scene.let_go()
    keys += scene.submit("meetings.extract", scene.meetings(2))

    def done():
        try:
            return all(record.status is Status.DONE for record in scene.store.read(keys))
        except StoreUnavailable:
            return False

    scene.eventually(done, 60)
    calls = scene.machine.ledger.openai
    assert (8, 0) == (calls.answered, calls.surplus)
