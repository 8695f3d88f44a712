import pytest

from askonce.controls import Pause
from askonce.lost import Delivered
from askonce.store import Admission, Start

# One suite for every store: a job that is queued for longer than its callers wait ends without an answer.


def test_job_past_its_expiry_does_not_start(scene):
    scene.admit(expires=30.0)
    scene.clock.advance(30)

    reply = scene.start()

    assert (Start.UNRUN, "expired", "idle") == (
        reply.outcome,
        reply.record.failure.kind,
        reply.record.flight,
    )
    assert [] == scene.reap()


def test_job_starts_up_to_its_expiry(scene):
    scene.admit(expires=30.0)
    scene.clock.advance(29.999)

    assert Start.GRANTED is scene.start().outcome


def test_running_job_does_not_expire(scene):
    scene.admit(expires=30.0)
    scene.start()
    scene.clock.advance(29)
    scene.renew()
    scene.clock.advance(29)

    assert [] == scene.reap()
    assert "ok" == scene.complete().value


def test_caller_of_an_expired_job_gets_a_new_one(scene):
    scene.admit(expires=30.0)
    scene.clock.advance(30)

    reply = scene.admit("job-2")

    assert (Admission.ADMITTED, "job-2") == (reply.outcome, reply.record.job)
    assert [None, None] == [seen.failure for seen in (reply.record, scene.read())]
    assert Start.SUPERSEDED is scene.start("owner-1", "job-1").outcome
    scene.clock.advance(59)
    assert Start.GRANTED is scene.start("owner-2", "job-2").outcome


ENDS = {"start": lambda scene: scene.start(), "reap": lambda scene: scene.reap(delivered=[])}


@pytest.mark.parametrize("end", ENDS)
def test_waiters_of_an_expired_job_are_woken_and_get_why(scene, eventually, end):
    scene.admit(expires=30.0)
    scene.clock.advance(30)
    with scene.store.subscribe([scene.key]) as subscription:
        subscription.wait(0.05)
        ENDS[end](scene)
        assert eventually(lambda: scene.key in subscription.wait(0.5))

    failure = scene.read().failure
    assert ("expired", "expired", "job-1") == (failure.kind, failure.reason, failure.job)


def test_job_of_a_dead_worker_past_its_expiry_is_not_sent_again(scene):
    scene.admit(expires=20.0)
    scene.start()
    scene.clock.advance(30)

    assert [] == scene.reap()
    assert ("idle", "expired") == (scene.read().flight, scene.read().failure.kind)


def fail(scene):
    scene.start()
    scene.fail(after=300.0)


def park(scene):
    scene.start()
    scene.park(after=300.0)


def pause(scene):
    scene.store.controls.pause(Pause("all"), "")
    scene.start()


def pause_and_look(scene):
    scene.store.controls.pause(Pause("all"), "")
    scene.clock.advance(60)
    scene.reap()


def wait_in_a_queue(scene):
    scene.clock.advance(60)
    scene.reap(delivered=[])
    scene.clock.advance(25)
    scene.reap(delivered=[])


def be_handed_out(scene):
    scene.clock.advance(85)
    assert scene.reap(delivered=[Delivered("", seconds=0.0)])


def be_sent_again(scene):
    scene.clock.advance(60)
    scene.resend()


@pytest.mark.parametrize(
    "rest", [fail, park, pause, pause_and_look, wait_in_a_queue, be_handed_out, be_sent_again]
)
def test_resting_job_is_ended_at_its_expiry(scene, rest):
    scene.admit(expires=90.0)
    began = scene.read().now
    rest(scene)
    scene.clock.advance(90 - (scene.read().now - began) / 1000)

    assert [] == scene.reap(delivered=[])
    assert ("idle", "expired") == (scene.read().flight, scene.read().failure.kind)


def test_job_with_a_countdown_is_ended_at_its_expiry(scene):
    scene.admit(countdown=30.0, expires=60.0)
    scene.clock.advance(30)
    due = [lost.job.id for lost in scene.resend(delivered=[])]
    scene.clock.advance(30)

    assert (["job-1"], []) == (due, scene.reap(delivered=[]))
    assert "expired" == scene.read().failure.kind


def test_last_good_answer_outlives_an_expired_refresh(scene):
    scene.done()
    scene.clock.advance(60)
    scene.admit("job-2", expires=9.0)
    scene.clock.advance(9)
    scene.reap()

    assert (True, "expired") == (scene.read().value is not None, scene.read().failure.kind)
