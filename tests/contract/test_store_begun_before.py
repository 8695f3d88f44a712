import pytest

from askonce.controls import Mark
from askonce.store import Admission, Start, Write

# One suite for every store: what began before a mark gives no new answer after it.

JOB = {"task": "orders", "tags": ("red",)}
MARK = Mark("task", "orders")


@pytest.mark.parametrize("mode", ["remove", "expire"])
def test_new_job_with_other_tags_brings_no_old_answer_back(scene, mode):
    scene.run(**JOB)
    scene.complete()
    scene.clock.advance(1)
    scene.store.controls.mark(Mark("tag", "red", mode=mode))

    scene.admit("job-2", **{**JOB, "tags": ("blue",)})

    seen = scene.read().value
    assert seen is None if mode == "remove" else not seen.fresh
    assert Admission.ATTACHED is scene.admit("job-3", **{**JOB, "tags": ("blue",)}).outcome


@pytest.mark.parametrize("mode", ["remove", "expire"])
@pytest.mark.parametrize("back", ["park", "fail"])
def test_call_that_began_before_a_mark_is_begun_anew(scene, back, mode):
    scene.run(**JOB)
    scene.checkpoint(reference="resp-1")
    getattr(scene, back)(after=1.0)
    scene.store.controls.mark(MARK._replace(mode=mode))
    scene.clock.advance(2)

    assert "" == scene.start("owner-2").record.checkpoint


def test_call_that_began_after_a_mark_goes_on(scene):
    scene.store.controls.mark(MARK)
    scene.clock.advance(1)
    scene.run(**JOB)
    scene.checkpoint(reference="resp-1")
    scene.park(after=1.0)
    scene.clock.advance(2)

    assert "resp-1" == scene.start("owner-2").record.checkpoint


@pytest.mark.parametrize(("mode", "written"), [("remove", Write.FENCED), ("expire", Write.OK)])
def test_call_that_began_before_its_lease_is_judged_by_its_own_time(scene, mode, written):
    scene.clock.advance(10)
    scene.store.controls.mark(MARK._replace(mode=mode))
    scene.clock.advance(1)
    scene.run(**JOB)

    assert written is scene.complete(begun_for=5.0)
    assert scene.read().value is None if mode == "remove" else not scene.read().value.fresh


@pytest.mark.parametrize("begun_for", [0.5, 5.0])
def test_call_that_began_without_a_lease_before_its_key_was_invalidated_is_refused(scene, begun_for):
    scene.clock.advance(10)
    scene.done()
    scene.invalidate()
    scene.clock.advance(1)
    scene.run("owner-2", "job-2")

    written = scene.complete("owner-2", begun_for=begun_for)

    assert (Write.OK if begun_for < 1 else Write.FENCED) is written
    assert (scene.read().value is None) == (begun_for > 1)


def test_call_that_has_a_lease_since_its_key_was_invalidated_is_kept(scene):
    scene.done()
    scene.clock.advance(1)
    scene.invalidate()
    scene.run("owner-2", "job-2")

    assert Write.OK is scene.complete("owner-2")


def test_refused_answer_of_a_call_without_a_lease_leaves_its_key_to_others(scene):
    scene.clock.advance(10)
    scene.done()
    scene.invalidate()
    scene.clock.advance(1)
    scene.run("owner-2", "job-2")
    scene.complete("owner-2", begun_for=5.0)

    assert Admission.ADMITTED is scene.admit("job-3").outcome
    assert Start.GRANTED is scene.start("owner-3", "job-3").outcome
    assert Write.OK is scene.complete("owner-3")


def test_run_after_a_mark_that_was_made_while_the_clock_was_ahead_is_kept(scene):
    scene.clock.advance(600)
    scene.store.controls.mark(MARK)
    scene.clock.advance(-600)
    scene.run(**JOB)

    assert Write.OK is scene.complete()
    assert Admission.HIT is scene.admit("job-2", **JOB).outcome
