import pytest

from askonce.record import MAX_RESENDS, Parked
from askonce.store import Admission, Parking, Start, Write

# One suite for every store: a job that is put back before anything was paid.


def test_parked_job_uses_no_attempt(scene):
    for n in range(5):
        assert Start.GRANTED is (scene.run if n == 0 else scene.start)(f"owner-{n}").outcome
        assert 1 == scene.read().attempts
        scene.park(f"owner-{n}")
        assert ("queued", 0) == (scene.read().flight, scene.read().attempts)
        scene.clock.advance(9)


def test_last_attempt_is_parked_and_made_after_all(scene):
    scene.run(max_attempts=1)
    scene.park()
    scene.clock.advance(9)

    assert Start.GRANTED is scene.start("owner-2").outcome
    assert Write.OK is scene.complete("owner-2")


def test_parked_job_rests_as_long_as_it_was_parked_for(scene):
    scene.run()
    scene.park(after=9.0)
    scene.clock.advance(8.999)
    early, waiting = scene.start("owner-2"), scene.reap(delivered=[])
    scene.clock.advance(0.001)

    assert (Start.BACKOFF, 0.001, []) == (early.outcome, early.record.wait, waiting)
    assert ["job-1"] == [lost.job.id for lost in scene.reap(delivered=[])]
    assert Start.GRANTED is scene.start("owner-2").outcome


def test_parked_job_shows_why_and_since_when(scene):
    scene.run()
    scene.park(reason="http_429")
    scene.clock.advance(20)
    scene.start("owner-2")
    scene.park("owner-2", reason="provider rests")
    scene.clock.advance(1)

    assert Parked("http_429", 21.0, 2)._replace(reason="provider rests") == scene.read().parked


def test_caller_of_a_parked_job_gets_why(scene):
    scene.run()
    scene.park(reason="http_429")

    reply = scene.admit("job-2")

    assert (Admission.ATTACHED, "job-1", 9.0) == (reply.outcome, reply.record.job, reply.record.wait)
    assert "http_429" == reply.record.parked.reason


def test_caller_ends_no_rest_of_a_parked_job(scene):
    scene.run()
    scene.park()

    reply = scene.admit("job-2", countdown=1.0)

    assert (Admission.ATTACHED, 9.0, ("countdown",)) == (reply.outcome, reply.record.wait, reply.ignored)


@pytest.mark.parametrize("ends_by", ["failure", "answer"])
def test_time_parked_is_counted_anew_after_an_attempt(scene, ends_by):
    scene.run()
    scene.park(after=9.0, within=20.0)
    scene.clock.advance(15)
    scene.start("owner-2")
    scene.fail("owner-2") if ends_by == "failure" else scene.complete("owner-2")
    assert scene.read().parked is None
    scene.admit("job-2", force=True)
    scene.clock.advance(15)
    scene.start("owner-3", scene.read().job)

    assert Parking.PARKED is scene.park("owner-3", after=9.0, within=20.0)


def test_parked_job_keeps_payload_checkpoint_and_answer(scene):
    scene.done()
    scene.clock.advance(60)
    scene.admit("job-2")
    scene.start("owner-2", "job-2")
    scene.checkpoint("owner-2", "resp-1")
    scene.park("owner-2")
    scene.clock.advance(9)

    [lost] = scene.reap(delivered=[])

    assert (b'{"n":1}', "resp-1") == (lost.job.payload, scene.read().checkpoint)
    assert scene.read().value is not None


def test_parked_job_has_all_of_its_resends(scene):
    scene.admit()
    for _ in range(MAX_RESENDS):
        scene.clock.advance(max(0.0, scene.read().deadline_in))
        scene.resend()
    scene.start()
    scene.park()

    assert 0 == scene.read().resent


def test_park_is_refused_once_the_job_has_another_owner(scene):
    scene.run()
    scene.park()
    scene.clock.advance(9)
    scene.start("owner-2")

    assert Parking.FENCED is scene.park("owner-1")
    assert "owner-2" == scene.read().owner


def test_answer_that_came_after_parking_is_kept(scene):
    scene.run()
    scene.park()

    assert Write.OK is scene.complete()
    assert scene.read().parked is None
