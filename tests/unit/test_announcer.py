from threading import Event as Signal

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.announcements import Announcement
from askonce.announcer import Announcer
from askonce.errors import StoreUnavailable
from tests.deadlines import stretched

ANNOUNCEMENT = Announcement(worker="w", tasks={"orders": "1"}, queues=("fast",), slots=8)
#: Nothing is repeated during a test.
NEVER = 3600.0


class Board:
    """The announcements of a memory store, which may be away."""

    def __init__(self, store):
        self._kept, self.away, self.tried, self._called = store.announcements, False, 0, Signal()

    def announce(self, announcement, ttl):
        self._try(lambda: self._kept.announce(announcement, ttl))

    def withdraw(self, worker):
        self._try(lambda: self._kept.withdraw(worker))

    def workers(self):
        return self._kept.workers()

    def _try(self, action):
        try:
            if self.away:
                raise StoreUnavailable(verb="announce", reason="TimeoutError")
            action()
        finally:
            self.tried += 1
            self._called.set()

    def wait_for_a_try(self):
        assert self._called.wait(stretched(10))
        self._called.clear()


@pytest.fixture
def board():
    return Board(MemoryStore())


@pytest.fixture
def heard():
    return []


@pytest.fixture
def new_announcer(board, heard):
    made = []

    def make(interval=NEVER):
        made.append(Announcer(board, listen=heard.append, interval=interval))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def test_worker_is_announced_at_the_start_and_withdrawn_at_the_end(board, new_announcer):
    announcer = new_announcer()
    announcer.start(lambda: ANNOUNCEMENT)
    board.wait_for_a_try()
    announced = board.workers()

    announcer.stop()

    assert (["w"], []) == ([each.worker for each in announced], board.workers())


def test_worker_is_announced_again_and_again(board, new_announcer, eventually):
    new_announcer(interval=0.01).start(lambda: ANNOUNCEMENT)

    eventually(lambda: board.tried > 3)


def test_change_is_announced_at_once(board, new_announcer):
    queues = ["fast"]
    announcer = new_announcer()
    announcer.start(lambda: Announcement(worker="w", tasks={}, queues=tuple(queues), slots=8))
    board.wait_for_a_try()

    queues.append("slow")
    announcer.announce_soon()
    board.wait_for_a_try()

    assert [("fast", "slow")] == [each.queues for each in board.workers()]


def test_worker_with_nothing_to_announce_is_left_alone(board, new_announcer, eventually):
    described = []
    announcer = new_announcer(interval=0.01)
    announcer.start(lambda: described.append(1))
    eventually(lambda: len(described) > 3)

    announcer.stop()

    assert 0 == board.tried


def test_store_that_is_away_costs_one_event_and_no_thread(board, new_announcer, heard, eventually):
    board.away = True
    announcer = new_announcer(interval=0.01)
    announcer.start(lambda: ANNOUNCEMENT)
    eventually(lambda: board.tried > 3)
    during = list(heard)

    board.away = False
    eventually(board.workers)
    board.away = True
    eventually(lambda: len(heard) > 1)
    announcer.stop()

    assert ["worker.unannounced"] == [event.name for event in during]
    assert ["worker.unannounced"] * 2 == [event.name for event in heard]
    assert {"reason": "StoreUnavailable"} == heard[0].data


def test_description_that_fails_is_one_event_and_is_tried_again(board, new_announcer, heard, eventually):
    failures = [RuntimeError("pool is not there")] * 3

    def describe():
        if failures:
            raise failures.pop()
        return ANNOUNCEMENT

    new_announcer(interval=0.01).start(describe)
    eventually(board.workers)

    assert ["worker.unannounced"] == [event.name for event in heard]


def test_announcer_that_was_never_started_stops(board, new_announcer):
    new_announcer().stop()

    assert 0 == board.tried
