from dataclasses import replace

import pytest

from askonce.announcements import Announcement
from askonce.job import Routing
from askonce.used_queues import QUEUES_KEPT, USE_KEPT

# One suite for every store: which queues are in use.

OTHER = "ff" + "0" * 62
WORKER = Announcement(worker="celery@a:7", tasks={}, queues=("fast", "slow"), slots=8)


@pytest.fixture
def used(scene):
    return scene.store.used_queues


def test_queue_of_a_job_is_in_use_without_a_worker(scene, used):
    assert {} == used()

    scene.admit(routing=Routing("bulk"))
    scene.clock.advance(7)

    assert {"bulk": 7.0} == used()


def test_queues_of_many_jobs_are_in_use(scene, used):
    claims = [scene.claim(routing=Routing("bulk")), scene.at(OTHER).claim(routing=Routing("night"))]

    scene.store.admit_many(claims)

    assert {"bulk", "night"} == used().keys()


def test_queues_that_a_worker_takes_are_in_use_from_each_announcement(scene, used):
    board = scene.store.announcements
    board.announce(WORKER, 15.0)
    scene.clock.advance(5)
    board.announce(replace(WORKER, queues=("fast",)), 15.0)
    board.withdraw(WORKER.worker)

    assert {"fast": 0.0, "slow": 5.0} == used()


def test_queue_is_forgotten_after_its_time(scene, used):
    scene.store.announcements.announce(WORKER, 15.0)

    scene.clock.advance(USE_KEPT - 0.001)
    assert {"fast", "slow"} == used().keys()
    scene.clock.advance(0.001)
    assert {} == used()


def test_queues_that_were_used_longest_ago_make_room(scene, used):
    scene.store.announcements.announce(replace(WORKER, queues=("first",)), 15.0)
    for part in range(0, QUEUES_KEPT, 100):
        scene.clock.advance(1)
        names = tuple(f"q{n:03}" for n in range(part, part + 100))
        scene.store.announcements.announce(replace(WORKER, queues=names), 15.0)

    assert QUEUES_KEPT == len(used())
    assert "first" not in used()


@pytest.mark.parametrize("name", ["", "two\nlines", "\x1b[2J", "x" * 201])
def test_name_that_no_terminal_may_show_is_no_queue_in_use(scene, used, name):
    scene.store.announcements.announce(replace(WORKER, queues=(name, "fast")), 15.0)

    assert {"fast"} == used().keys()


def test_clock_that_was_set_back_makes_no_age_below_0(scene, used):
    scene.store.announcements.announce(WORKER, 15.0)
    scene.clock.advance(-60)

    assert {"fast": 0.0, "slow": 0.0} == used()
