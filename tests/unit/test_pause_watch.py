from threading import Event

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.controls import Pause, note_of_queue
from askonce.errors import StoreUnavailable
from askonce.pause_watch import PauseWatch
from tests.deadlines import stretched


class Controls:
    """Controls that do not answer while they are told so."""

    def __init__(self, controls):
        self._controls, self.is_down, self.looks = controls, False, 0

    def pauses(self):
        self.looks += 1
        if self.is_down:
            raise StoreUnavailable(verb="read", reason="TimeoutError")
        return self._controls.pauses()


@pytest.fixture
def store(clock):
    return MemoryStore(clock)


@pytest.fixture
def controls(store):
    return Controls(store.controls)


@pytest.fixture
def watch(controls):
    watch = PauseWatch(controls, interval=0.01)
    yield watch
    watch.stop()


def test_watch_tells_again_and_again_which_pauses_hold(store, watch, eventually):
    told = []
    watch.start(told.append)
    eventually(lambda: {} in told)

    store.controls.pause(Pause("queue", "slow"), "ana")
    eventually(lambda: {Pause("queue", "slow"): "ana"} in told)
    store.controls.resume(Pause("queue", "slow"))
    eventually(lambda: told[-1] == {})


def test_watch_says_nothing_while_the_store_is_down_and_goes_on_after(store, controls, watch, eventually):
    store.controls.pause(Pause("all"), "ana")
    told, controls.is_down = [], True
    before = watch.look()
    watch.start(told.append)
    eventually(lambda: controls.looks > 3)
    during = list(told)
    controls.is_down = False

    eventually(lambda: {Pause("all"): "ana"} in told)
    assert (None, []) == (before, during)


def test_watch_survives_what_its_reader_raises(watch, eventually, monkeypatch):
    monkeypatch.setattr("askonce.background._REST", 0.01)
    called = []

    def fail(_pauses):
        called.append(1)
        raise RuntimeError("once")

    watch.start(fail)

    eventually(lambda: len(called) > 1)


def test_stopped_watch_tells_nothing_more(controls, watch):
    told = Event()
    watch.start(lambda _pauses: told.set())
    assert told.wait(stretched(5))
    watch.stop()
    looks = controls.looks

    assert not told.wait(0) or looks == controls.looks


@pytest.mark.parametrize(
    ("pause", "note"),
    [
        (Pause("all"), "n"),
        (Pause("queue", "slow"), "n"),
        (Pause("queue", "key"), "n"),
        (Pause("queue", "fast"), None),
        (Pause("task", "slow"), None),
    ],
    ids=str,
)
def test_queue_is_paused_by_its_name_or_its_key_or_with_all(pause, note):
    assert note == note_of_queue({pause: "n"}, ["slow", "key"])
