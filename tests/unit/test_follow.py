from contextlib import contextmanager
from threading import Event as Signal

import pytest

from askonce import follow
from askonce.answer import Result
from askonce.errors import JobFailed, Permanent, StoreUnavailable
from askonce.follow import Follower


@pytest.fixture
def follower(scene):
    with Follower(scene.store) as following:
        yield following


def followed(scene, *names):
    return [scene.ask({"currency": name}).handle for name in names]


def ends(follower, timeout=15.0):
    """What ended, once anything has."""
    while not (found := follower.ended(timeout)):
        assert follower
    return found


def test_nothing_ends_where_nothing_is_followed(follower):
    assert follower.ended(60.0) == []
    assert len(follower) == 0


def test_job_that_was_over_before_is_told_without_a_subscription(scene, monkeypatch):
    [handle] = followed(scene, "A")
    scene.work()
    store = scene.fail_on("subscribe", times=0)
    with Follower(store) as follower:
        follower.add([handle])

        [(ended, result)] = ends(follower)

    assert (ended, type(result), store.calls) == (handle, Result, 0)


def test_jobs_are_taken_in_while_others_are_waited_for(scene, follower):
    first, second = followed(scene, "A", "B")
    follower.add([first])
    assert follower.ended(0) == []
    follower.add([second])
    assert follower.ended(0) == []
    scene.work(number=1)

    assert [second] == [handle for handle, _ in ends(follower)]
    scene.work(number=0)
    assert [first] == [handle for handle, _ in ends(follower)]
    assert not follower


def test_every_row_of_one_job_hears_its_end(scene, raising, follower):
    handles = [*followed(scene, "A", "A"), *followed(scene, "A")]
    follower.add(handles[:2])
    follower.ended(0)
    follower.add(handles[2:])
    follower.ended(0)
    scene.work(raising(Permanent("http_404")))

    found = ends(follower)

    assert set(handles) == {handle for handle, _ in found}
    assert {JobFailed} == {type(error) for _, error in found}


def test_job_whose_wake_up_is_missed_is_found_by_looking(scene, monkeypatch):
    monkeypatch.setattr(follow, "POLL", 0.01)
    # Fewer at once than there are: each has its turn.
    monkeypatch.setattr(follow, "_LOOK_AT", 2)
    handles = followed(scene, *"ABCDE")
    with Follower(Deaf(scene.store)) as follower:
        follower.add(handles)
        while not follower.has_looked:
            assert follower.ended(0) == []
        scene.work(number=4)

        assert [handles[4]] == [handle for handle, _ in ends(follower)]


@pytest.mark.parametrize("verb", ["read", "subscribe"])
def test_nothing_is_lost_while_the_store_is_down(scene, verb):
    first, second = followed(scene, "A", "B")
    store = scene.fail_on(verb, times=1)
    with Follower(store) as follower:
        follower.add([first, second])
        with pytest.raises(StoreUnavailable):
            follower.ended(0)
        scene.work(number=0)

        assert [first] == [handle for handle, _ in ends(follower)]
        scene.work(number=1)
        assert [second] == [handle for handle, _ in ends(follower)]


class Deaf:
    """A store whose wake-ups never come."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    @contextmanager
    def subscribe(self, _keys):
        yield self

    def add(self, _keys):
        pass

    leave = add

    def wait(self, timeout):
        Signal().wait(timeout)
        return frozenset()
