"""Many threads of one process ask a server: a few at once, and none waits for a server that is gone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from askonce.adapters.redis.link import _AT_ONCE, BreakerOpen, ServerLink
from tests.deadlines import eventually, stretched

THREADS = 10 * _AT_ONCE


class HeldLink(ServerLink):
    """Its round trips wait until the test lets them go on."""

    def __init__(self):
        super().__init__(Redis())
        self.asked = self.under_way = self.most = 0
        self._count, self.go_on, self.error = threading.Lock(), threading.Event(), None

    def exchange(self, *_commands):
        with self._count:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        assert self.go_on.wait(stretched(10))
        with self._count:
            self.under_way -= 1
        if self.error is not None:
            raise self.error
        return []

    def ask(self, *commands, always=False):
        with self._count:
            self.asked += 1
        return super().ask(*commands, always=always)


@pytest.fixture
def link():
    link = HeldLink()
    yield link
    link.go_on.set()
    link.close()


def error_of(call):
    try:
        call()
    except RedisConnectionError as error:
        return error
    return None


def all_asked(link):
    """Let many threads ask at once; return the error of each, or None."""
    with ThreadPoolExecutor(THREADS) as threads:
        asked = [threads.submit(error_of, link.ask) for _ in range(THREADS)]
        eventually(lambda: link.asked == THREADS and link.under_way >= _AT_ONCE)
        link.go_on.set()
        return [each.result() for each in asked]


def test_few_round_trips_are_under_way_at_once(link):
    assert [None] * THREADS == all_asked(link)
    assert _AT_ONCE == link.most


def test_thread_that_waited_is_kept_off_a_server_that_is_gone(link):
    link.error = RedisConnectionError()

    errors = all_asked(link)

    # Those that were under way, and some that went on before the first of these told its breaker.
    assert THREADS / 2 < [type(error) for error in errors].count(BreakerOpen)


def test_forked_child_has_all_turns(link):
    for _ in range(_AT_ONCE):
        link._turns.acquire()
    link._pid = 0
    link.go_on.set()

    asking = threading.Thread(target=link.ask, daemon=True)
    asking.start()
    asking.join(stretched(10))
    assert not asking.is_alive()
