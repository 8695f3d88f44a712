from askonce.record import Status
from askonce.store import Admission, Write

# One suite for every store: the answer of one key expires, and stays as a stale one.


def test_key_whose_answer_expired_is_made_anew(scene):
    scene.done()

    assert Write.OK is scene.invalidate(expire=True)
    assert (Status.STALE, "job-1") == (scene.read().status, scene.read().job)
    assert Admission.ADMITTED is scene.admit("job-2").outcome


def test_expiry_of_a_key_lets_its_jobs_go_on(scene):
    scene.done()
    scene.clock.advance(60)
    scene.run("owner-2", "job-2")
    scene.invalidate(expire=True)
    running = scene.read()

    assert ("running", Write.OK) == (running.flight, scene.complete("owner-2", b"j2"))
    assert (b"j2", Status.STALE) == (scene.read().value.data, scene.read().status)
    scene.run("owner-3", "job-3")
    scene.complete("owner-3", b"j3")
    assert Status.DONE is scene.read().status


def test_expiry_of_a_key_leaves_what_is_queued(scene):
    scene.admit()
    scene.invalidate(expire=True)
    scene.clock.advance(1)
    scene.start()
    scene.complete()

    assert Status.DONE is scene.read().status


def test_expiry_of_a_key_forgets_its_failure(scene):
    scene.run()
    scene.fail(kind="permanent")
    scene.invalidate(expire=True)

    assert Admission.ADMITTED is scene.admit("job-2").outcome


def test_expiry_of_a_key_without_a_record_is_told(scene):
    assert Write.ABSENT is scene.invalidate(expire=True)
