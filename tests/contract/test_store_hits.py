import pytest

from askonce.answer import Kept
from askonce.controls import Mark
from askonce.job import JobId
from tests.contract.key_under_test import ANSWER, KEY, META
from tests.contract.test_store_tally import counted

# One suite for every store: a hit is one look that is counted, and nothing else.


def hit(scene, fingerprint="fp-1", **part_of_key):
    return scene.store.hit(scene.job("job-9", fingerprint, **part_of_key))


def test_fresh_answer_is_returned_with_its_age_and_the_rest_of_its_time(scene):
    scene.done(soft=60.0)
    stored_at = scene.clock()
    scene.clock.advance(20)

    kept = hit(scene)

    fence = scene.read().fence
    assert Kept(JobId("job-1"), ANSWER, META, fence, pytest.approx(stored_at, abs=0.01), 20.0, 40.0) == kept


def test_hit_is_counted_with_the_cost_that_it_avoids(scene):
    scene.run()
    scene.complete(micro_usd=1200)
    before = counted(scene)

    kept = hit(scene)

    assert {**before, "hit": 1, "avoided_micro_usd": 1200} == counted(scene)
    assert 1200 == kept.micro_usd


def test_hit_of_an_unknown_cost_is_counted_as_that(scene):
    scene.done()

    hit(scene)

    assert {"admitted": 1, "done": 1, "hit": 1, "avoided_unknown": 1} == counted(scene)


def test_answer_is_no_hit_from_the_moment_at_which_it_is_stale(scene):
    scene.done(soft=60.0, hard=600.0)
    scene.clock.advance(59.999)
    assert hit(scene)

    scene.clock.advance(0.001)

    assert hit(scene) is None
    assert "stale" == scene.read().status.value


def test_nothing_is_no_hit_and_is_not_counted(scene):
    assert hit(scene) is None
    scene.run()
    assert hit(scene) is None
    scene.fail(kind="permanent")

    assert hit(scene) is None
    assert "hit" not in counted(scene)


def test_answer_to_another_payload_is_no_hit(scene):
    scene.done()

    assert hit(scene, "fp-2") is None


def test_answer_is_a_hit_while_it_is_made_anew(scene):
    scene.done()
    scene.run("owner-2", "job-2", force=True)

    assert ANSWER == hit(scene).data


@pytest.mark.parametrize("mark", [Mark("task", "orders"), Mark("tenant", "acme")], ids=["task", "tenant"])
def test_marked_answer_is_no_hit(scene, mark):
    scene.admit(tenant="acme")
    scene.start()
    scene.complete()
    scene.clock.advance(0.001)
    assert hit(scene, tenant="acme")

    scene.store.controls.mark(mark)

    assert hit(scene, tenant="acme") is None


def test_answer_is_a_hit_while_its_task_is_marked_for_an_earlier_time(scene):
    scene.store.controls.mark(Mark("task", "orders"))
    scene.clock.advance(0.001)

    scene.done()

    assert ANSWER == hit(scene).data


def test_hit_changes_nothing(scene):
    scene.done()
    before = scene.read()

    hit(scene)

    assert before == scene.read()


def test_who_listens_is_told_which_answer_was_invalidated(scene, eventually):
    scene.done()
    heard = set()
    with scene.store.invalidations() as invalidations:
        scene.invalidate()

        assert eventually(lambda: heard.update(invalidations.wait(0.5) or ()) or scene.key in heard)


def test_answer_that_is_not_there_is_told_too(scene, eventually):
    heard = set()
    with scene.store.invalidations() as invalidations:
        scene.invalidate()

        assert eventually(lambda: heard.update(invalidations.wait(0.5) or ()) or scene.key in heard)


def test_invalidation_before_it_was_listened_for_is_not_told(scene):
    scene.invalidate()

    with scene.store.invalidations() as invalidations:
        assert not invalidations.wait(0.05)


def test_all_who_listen_are_told(scene, eventually):
    with scene.store.invalidations() as one, scene.store.invalidations() as other:
        scene.invalidate()

        assert all(eventually(lambda each=each: scene.key in (each.wait(0.5) or ())) for each in (one, other))


@pytest.mark.parametrize("name", ["red", "x" * 23])
def test_mark_tells_that_any_answer_may_be_old(scene, eventually, name):
    mark = Mark("tag", name)
    with scene.store.invalidations() as invalidations:
        scene.store.controls.mark(mark)

        assert eventually(lambda: invalidations.wait(0.5) is None)


def test_notice_of_a_mark_may_be_as_long_as_a_key():
    assert len(KEY) == len(Mark("tag", "x" * 23).notice)


@pytest.mark.parametrize("end", ["expires", "is removed"])
def test_answer_of_a_key_that_is_made_old_is_no_hit(scene, end):
    scene.done()
    scene.invalidate(expire=end == "expires")

    assert hit(scene) is None


def test_answer_whose_tag_expired_is_no_hit(scene):
    scene.admit(tags=("red",))
    scene.start()
    scene.complete()
    scene.store.controls.mark(Mark("tag", "red", mode="expire"))

    assert hit(scene, tags=("red",)) is None


def stale(scene, seconds):
    """Leave an answer that is stale for so long."""
    scene.done(soft=60.0, hard=600.0)
    scene.clock.advance(60.0 + seconds)


def test_stale_answer_is_a_hit_while_a_job_makes_it_anew(scene):
    stale(scene, 5.0)
    scene.run("owner-2", "job-2")
    before = counted(scene)

    kept = scene.store.hit(scene.job("job-9"), 6.0)

    assert (ANSWER, 65.0, -5.0) == (kept.data, kept.age, kept.fresh_for)
    assert {**before, "stale": 1, "avoided_unknown": 1} == counted(scene)


def test_stale_answer_that_nobody_makes_anew_is_no_hit(scene):
    # The lease of the run that made it would last.
    scene.done(soft=1.0, hard=600.0)
    scene.clock.advance(5.0)

    assert scene.store.hit(scene.job("job-9"), 6.0) is None


def test_answer_that_is_stale_for_too_long_is_no_hit(scene):
    stale(scene, 6.0)
    scene.admit("job-2")

    assert scene.store.hit(scene.job("job-9"), 6.0) is None


def test_stale_answer_is_no_hit_when_the_job_that_makes_it_anew_is_lost_or_failed(scene):
    stale(scene, 5.0)
    scene.run("owner-2", "job-2")
    scene.clock.advance(30.0)
    lost = scene.store.hit(scene.job("job-9"), 500.0)
    scene.start("owner-3", "job-2")
    scene.fail("owner-3", after=9.0)

    assert (None, None) == (lost, scene.store.hit(scene.job("job-9"), 500.0))
