from operator import methodcaller

import pytest

# One suite for every store: how long the provider's reference of a call under way is kept.


def test_checkpoint_is_seen_by_the_next_owner(scene):
    scene.run("owner-1")
    scene.checkpoint("owner-1", "resp-42")
    scene.clock.advance(30)

    assert "resp-42" == scene.start("owner-2").record.checkpoint


@pytest.mark.parametrize(
    "end", [methodcaller("complete"), methodcaller("fail", kind="permanent")], ids=["complete", "fail"]
)
def test_checkpoint_is_forgotten_with_its_job(scene, end):
    scene.run()
    scene.checkpoint()
    end(scene)

    assert "" == scene.read().checkpoint


def test_checkpoint_outlives_a_transient_failure(scene):
    scene.run("owner-1")
    scene.checkpoint("owner-1", "resp-42")
    scene.fail("owner-1", after=0.0)

    assert "resp-42" == scene.start("owner-2").record.checkpoint
    scene.checkpoint("owner-2", "")
    assert "" == scene.read().checkpoint


def test_next_job_of_a_key_does_not_inherit_a_checkpoint(scene):
    scene.run()
    scene.checkpoint()
    scene.fail(kind="transient", after=0.0)
    scene.admit("job-2", fingerprint="other")

    assert "" == scene.start("owner-2", job="job-2", fingerprint="other").record.checkpoint
