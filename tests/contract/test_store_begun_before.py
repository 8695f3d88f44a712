import pytest

from askonce.controls import Mark
from askonce.store import Admission, Write

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


def test_run_after_a_mark_that_was_made_while_the_clock_was_ahead_is_kept(scene):
    scene.clock.advance(600)
    scene.store.controls.mark(MARK)
    scene.clock.advance(-600)
    scene.run(**JOB)

    assert Write.OK is scene.complete()
    assert Admission.HIT is scene.admit("job-2", **JOB).outcome
