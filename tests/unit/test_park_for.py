"""How long a job may be parked, and what becomes of it where it may not, or no longer."""

from dataclasses import replace
from logging import DEBUG

import pytest

from askonce.errors import WAITING_FOR_TURN, Postponed
from askonce.execution import Computed, Deferred, Failed
from askonce.spec import LONGEST_QUEUE_DEADLINE, JobSpec

REFUSED = Postponed("rate_limited", retry_after=5.0)
MISCONFIGURED = Postponed("invalid_key", retry_after=5.0, ends_as="configuration")


def parking(scene, seconds):
    scene.use(scene.store, replace(scene.spec, park_for=seconds))
    scene.ask()


@pytest.mark.parametrize("seconds", [-1, True, False, "60", None, float("nan"), LONGEST_QUEUE_DEADLINE + 1])
def test_time_to_park_that_cannot_be_is_refused_by_name(seconds):
    with pytest.raises(ValueError, match=r"^JobSpec rates.fetch: park_for must be 0.001 to "):
        JobSpec(name="rates.fetch", park_for=seconds)


@pytest.mark.parametrize("seconds", [0, 0.0, 0.5, LONGEST_QUEUE_DEADLINE])
def test_time_to_park_may_be_none_at_all(seconds):
    assert seconds == JobSpec(name="rates.fetch", park_for=seconds).park_for


def test_job_is_parked_within_its_time_and_uses_no_attempt(scene, raising):
    parking(scene, 30.0)

    for _ in range(5):
        assert isinstance(scene.work(raising(REFUSED)), Deferred)
        scene.clock.advance(5)

    done = scene.work()
    assert isinstance(done, Computed)
    assert 1 == done.result.attempts


def test_parked_job_is_told_at_debug_with_its_reason_and_rest(scene, raising):
    parking(scene, 30.0)

    scene.work(raising(REFUSED))

    [event] = scene.heard.named("job.parked")
    assert (DEBUG, {"reason": "rate_limited", "after_seconds": 5.0}) == (event.type.level, dict(event.data))
    assert [5.0] == [after for _, after in scene.deferred]
    assert [] == scene.heard.named("job.deferred")


def test_job_that_was_parked_for_its_time_uses_an_attempt(scene, raising):
    parking(scene, 12.0)
    for _ in range(3):
        scene.work(raising(REFUSED))
        scene.clock.advance(5)

    scene.work(raising(REFUSED))
    scene.clock.advance(1000)

    assert 2 == scene.work().result.attempts


def test_job_that_waits_for_its_turn_uses_no_attempt_after_its_time(scene, raising):
    parking(scene, 12.0)

    for _ in range(5):
        assert isinstance(scene.work(raising(Postponed(WAITING_FOR_TURN, retry_after=5.0))), Deferred)
        scene.clock.advance(10)

    assert 1 == scene.work().result.attempts


@pytest.mark.parametrize("seconds", [0.0, 12.0])
def test_misconfigured_job_that_may_not_be_parked_ends(scene, raising, seconds):
    parking(scene, seconds)
    parked = 0
    while isinstance(ended := scene.work(raising(MISCONFIGURED)), Deferred):
        scene.clock.advance(5)
        parked += 1

    assert isinstance(ended, Failed)
    assert ("configuration", "invalid_key", 1) == (ended.kind, ended.reason, ended.attempts)
    assert (3 if seconds else 0) == parked


def test_refused_job_that_may_not_be_parked_has_its_attempts(scene, raising):
    parking(scene, 0.0)
    ended = []
    for _ in range(3):
        ended.append(scene.work(raising(REFUSED)))
        scene.clock.advance(1000)

    assert [Deferred, Deferred, Failed] == [type(each) for each in ended]
    assert ("quarantined", "rate_limited", 3) == (ended[-1].kind, ended[-1].reason, ended[-1].attempts)
    assert [] == scene.heard.named("job.parked")


def test_wish_past_the_time_left_is_clipped_to_it(scene, raising):
    parking(scene, 12.0)
    scene.work(raising(REFUSED))
    scene.clock.advance(5)

    scene.work(raising(Postponed("rate_limited", retry_after=86_400.0)))

    assert pytest.approx([5.0, 7.0], abs=1.0) == [after for _, after in scene.deferred]


def test_attempt_after_the_time_to_park_rests_as_wished(scene, raising):
    parking(scene, 0.0)

    ended = scene.work(raising(Postponed("rate_limited", retry_after=3600.0)))

    assert (Deferred, 3600.0) == (type(ended), ended.after)
