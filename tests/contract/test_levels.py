import pytest

from askonce.letters import DeadMessage
from askonce.lost import Delivered

# One suite for every store: what it holds now.

OTHER = "ff" + "0" * 62


@pytest.fixture
def levels(scene):
    return scene.store.levels


def report(scene, *delivered):
    """Report how far queues have delivered, as a worker does with each look at each bucket."""
    for bucket in (3, 4):
        scene.store.reap([bucket], delivered)


def test_jobs_are_in_flight_from_their_admission_to_their_end(scene, levels):
    assert 0 == levels().in_flight
    scene.run()
    scene.at(OTHER).admit()
    assert 2 == levels().in_flight

    scene.complete()

    assert 1 == levels().in_flight


def test_quarantined_jobs_count_until_their_time_is_over(scene, levels):
    scene.run(max_attempts=1)
    scene.fail(quarantine=True)
    assert (0, 1) == (levels().in_flight, levels().dead_jobs)

    scene.clock.advance(604_801)

    assert 0 == levels().dead_jobs


def test_messages_that_no_worker_could_use_count(scene, levels):
    for number in "12":
        scene.store.letters.keep(DeadMessage(reason="unknown_task", body=number.encode()))

    assert 2 == levels().dead_messages


def test_no_message_waits_longer_than_since_its_queue_was_empty(scene, levels):
    report(scene, Delivered("fast", seconds=1.0), Delivered("slow", seconds=2.0))
    scene.clock.advance(7)
    report(scene, Delivered("fast", seconds=3.0))

    assert {"fast": 3.0, "slow": 9.0} == levels().waits


def test_no_message_waits_longer_than_the_last_one_that_was_delivered(scene, levels):
    sent_at = round(scene.clock() * 1000)
    scene.clock.advance(5)
    report(scene, Delivered("fast", 3, sent_at=sent_at))

    assert {"fast": 5.0} == levels().waits


def test_queue_waits_as_long_as_its_priority_that_waits_longest(scene, levels):
    report(scene, Delivered("fast", seconds=60.0))
    now = round(scene.clock() * 1000)
    report(scene, Delivered("fast", 0, sent_at=now - 20_000), Delivered("fast", 9, sent_at=now))
    assert {"fast": 20.0} == levels().waits

    report(scene, Delivered("fast", seconds=4.0))

    assert {"fast": 4.0} == levels().waits


def test_reading_the_levels_changes_nothing(scene, levels):
    scene.run()
    before = scene.read()

    levels()

    assert before == scene.read()
