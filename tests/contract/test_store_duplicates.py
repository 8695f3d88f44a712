from askonce.store import Admission, Start

# One suite for every store: a duplicate without options of its own, and one with a delay, to a job in flight.


def test_duplicate_without_an_expiry_takes_the_expiry_from_the_job(scene):
    scene.admit("job-1", expires=5.0)
    scene.admit("job-2")
    scene.clock.advance(6)

    assert Start.GRANTED is scene.start(job="job-1").outcome


def test_reply_names_the_delay_that_a_queued_job_does_not_take(scene):
    scene.admit("job-1")

    reply = scene.admit("job-2", countdown=5.0)

    assert (Admission.ATTACHED, ("countdown",)) == (reply.outcome, reply.ignored)
