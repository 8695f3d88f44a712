"""One suite for every store: which answers are kept, found by index."""

import pytest

from askonce.controls import Mark
from askonce.due import Meant, Walked
from askonce.record import BUCKETS
from tests.contract.key_under_test import BUCKET, KEY

TAGS = ("customer-7", "red")


def walk(scene, **meant):
    """Return all answers that are meant, and how many round trips that took."""
    walks, found, trips = [Walked(bucket) for bucket in range(BUCKETS)], [], 0
    while walks:
        some, walks = scene.store.due.answers(walks, Meant(**meant))
        found, trips = found + some, trips + 1
    return found, trips


def keys(scene, **meant):
    return {each.key for each in walk(scene, **meant)[0]}


@pytest.fixture
def three(scene):
    """Three answers, and a job that has none yet."""
    ours, theirs, plain, queued = (scene.at(f"0{n}{n:062x}") for n in range(1, 5))
    ours.run(tenant="acme", tags=TAGS)
    theirs.run(task="lookups", tenant="other", tags=("red", "customer-70"))
    plain.run()
    for one in (ours, theirs, plain):
        one.complete()
    queued.admit(tags=TAGS)
    return ours.key, theirs.key, plain.key


def test_each_answer_is_found_by_what_it_is(scene, three):
    ours, theirs, plain = three

    assert {ours, theirs, plain} == keys(scene)
    assert {ours, plain} == keys(scene, task="orders")
    assert {theirs} == keys(scene, tenant="other")
    assert {plain} == keys(scene, tenant="")
    assert {ours, theirs} == keys(scene, tag="red")
    assert {ours} == keys(scene, tag="customer-7")
    assert set() == keys(scene, tag="customer")
    assert {ours} == keys(scene, task="orders", tenant="acme", tag="red")


def test_answer_is_shown_with_its_names_and_times(scene):
    scene.run(tenant="acme", version="2", tags=TAGS)
    scene.complete(soft=60.0, hard=600.0)
    scene.clock.advance(20)
    fresh = scene.store.due.look(scene.key)
    scene.clock.advance(60)

    assert (KEY, "orders", "2", "acme", TAGS, 20.0, 40.0, 580.0) == fresh
    assert (80.0, 0.0, 520.0) == scene.store.due.look(scene.key)[-3:]
    assert [fresh.key] == [each.key for each in scene.store.due.answers([Walked(BUCKET)])[0]]
    assert [] == scene.store.due.answers([Walked(BUCKET + 1)])[0]


def test_key_without_an_answer_shows_none(scene):
    scene.admit()
    waiting = scene.store.due.look(scene.key)
    scene.start()
    scene.complete()
    scene.store.controls.mark(Mark("all"))

    assert (None, None) == (waiting, scene.store.due.look(scene.key))
    assert set() == keys(scene)


def test_answers_of_a_bucket_are_walked_some_at_a_time(scene):
    made = {f"0a{number:062x}" for number in range(250)}
    for key in made:
        scene.at(key).done()

    found, trips = walk(scene)

    assert made == {each.key for each in found}
    assert trips <= 4


def test_walk_meets_each_answer_that_stays_while_others_leave(scene):
    ends, stays = ([f"0a{number:062x}" for number in numbers] for numbers in (range(50), range(50, 300)))
    for key in ends:
        scene.at(key).done(soft=1.0, hard=2.0)
    for key in stays:
        scene.at(key).done()
    found, walks = scene.store.due.answers([Walked(BUCKET)])
    met = {each.key for each in found}
    scene.clock.advance(3)
    scene.reap()

    while walks:
        found, walks = scene.store.due.answers(walks)
        met |= {each.key for each in found}

    assert set(stays) <= met


def test_answers_are_counted(scene, three):
    assert [0, 1, 1, 1, 0] == scene.store.due.counts()[:5]
    assert BUCKETS == len(scene.store.due.counts())


def test_answers_that_ended_are_counted_no_more_where_nobody_reaps(scene):
    for number in range(20):
        scene.at(f"0a{number:062x}").done(soft=1.0, hard=2.0)
    scene.clock.advance(3)
    for number in range(20, 40):
        scene.at(f"0a{number:062x}").done()

    assert 20 == scene.store.due.counts()[BUCKET]
