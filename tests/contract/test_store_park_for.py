"""One suite for every store: for how long a job may be parked, and what counts."""

import pytest

from askonce.controls import Pause
from askonce.record import PAUSE_REST, Parked
from askonce.store import Parking, Start

DAY = 86_400.0
ALL = Pause("all")


def refuse(scene, owner, after=9.0, within=DAY):
    assert Start.GRANTED is scene.start(owner).outcome
    return scene.park(owner, after=after, within=within)


def pause_for(scene, seconds):
    """Pause, let a worker meet the job, and resume."""
    scene.store.controls.pause(ALL, "")
    assert Start.PAUSED is scene.start("owner-8").outcome
    scene.clock.advance(seconds)
    scene.store.controls.resume(ALL)


def test_job_that_waited_its_whole_time_keeps_its_lease(scene):
    scene.admit()
    first = refuse(scene, "owner-1", within=20.0)
    scene.clock.advance(20)
    scene.start("owner-2")
    before = scene.read()

    outcome = scene.park("owner-2", after=1.0, within=20.0)

    assert (Parking.PARKED, Parking.SPENT) == (first, outcome)
    assert before == scene.read()


def test_wish_past_the_time_left_is_no_time_waited(scene):
    scene.admit()
    refuse(scene, "owner-1", after=1.0, within=20.0)
    scene.clock.advance(19.999)

    assert Parking.PARKED is refuse(scene, "owner-2", after=DAY, within=20.0)
    assert ("queued", 0, DAY) == (scene.read().flight, scene.read().attempts, scene.read().wait)


@pytest.mark.parametrize("after", [0.0, 1.0, DAY])
def test_job_that_may_not_be_parked_keeps_its_lease(scene, after):
    scene.run()

    assert Parking.SPENT is scene.park(after=after, within=0.0)
    assert ("running", 1) == (scene.read().flight, scene.read().attempts)


def test_pause_is_no_time_parked(scene):
    scene.admit()
    pause_for(scene, DAY + 3600)

    assert Parking.PARKED is refuse(scene, "owner-2")


def test_pause_of_a_job_that_is_parked_is_no_time_parked(scene):
    scene.admit()
    refuse(scene, "owner-1")
    scene.clock.advance(9)
    pause_for(scene, DAY)

    assert Parking.PARKED is refuse(scene, "owner-2")


def test_pause_that_only_a_reaper_met_is_no_time_parked(scene):
    scene.admit()
    refuse(scene, "owner-1")
    scene.store.controls.pause(ALL, "")
    scene.clock.advance(9)
    during = scene.reap()
    scene.clock.advance(DAY)
    scene.store.controls.resume(ALL)

    assert ([], ["job-1"]) == (during, [each.job.id for each in scene.reap()])
    assert Parking.PARKED is refuse(scene, "owner-2")


def test_pause_of_a_lost_worker_s_job_is_no_time_parked(scene):
    scene.admit()
    refuse(scene, "owner-1")
    scene.clock.advance(9)
    scene.start("owner-2")
    scene.clock.advance(30)
    pause_for(scene, DAY)

    assert Parking.PARKED is refuse(scene, "owner-3")


def test_time_parked_goes_on_where_no_pause_was(scene):
    scene.admit()
    refuse(scene, "owner-1", after=5.0, within=20.0)
    scene.clock.advance(10)
    refuse(scene, "owner-2", after=5.0, within=20.0)
    scene.clock.advance(10)

    assert Parking.SPENT is refuse(scene, "owner-3", after=5.0, within=20.0)


def test_time_parked_begins_anew_after_a_pause(scene):
    scene.admit()
    pause_for(scene, 3600)
    refuse(scene, "owner-2", within=20.0)
    scene.clock.advance(20)

    assert Parking.SPENT is refuse(scene, "owner-3", within=20.0)


def test_paused_job_shows_since_when_it_is_paused(scene):
    scene.admit()
    refuse(scene, "owner-1")
    scene.clock.advance(9)
    pause_for(scene, 3600)
    scene.store.controls.pause(ALL, "")
    scene.start("owner-2")
    scene.clock.advance(PAUSE_REST)
    paused = scene.read().parked
    scene.store.controls.resume(ALL)
    scene.start("owner-3")

    assert Parked("paused", 3600 + PAUSE_REST, 0) == paused
    assert scene.read().parked is None


def test_pause_makes_no_waiting_job_a_parked_one(scene):
    scene.admit()
    scene.store.controls.pause(ALL, "")
    scene.clock.advance(60)
    scene.reap()

    assert scene.read().parked is None


def test_body_s_own_word_for_a_pause_is_time_parked(scene):
    scene.admit()
    scene.start("owner-1")
    scene.park("owner-1", reason="paused", after=9.0, within=20.0)
    scene.clock.advance(20)

    assert Parking.SPENT is refuse(scene, "owner-2", within=20.0)
