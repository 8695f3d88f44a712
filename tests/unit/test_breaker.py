from threading import Barrier

import pytest

from askonce.store_down.breaker import ERRORS, FIRST_REST, LONGEST_REST, Breaker


@pytest.fixture
def heard():
    return []


@pytest.fixture
def breaker(clock, heard):
    return Breaker(listen=lambda event: heard.append(event.name), clock=clock)


def open_it(breaker):
    for _ in range(ERRORS):
        breaker.failed()


def test_store_that_failed_less_than_three_times_in_a_row_is_asked(breaker, heard):
    for _ in range(5):
        for _ in range(ERRORS - 1):
            breaker.failed()
        breaker.answered()

    assert breaker.allows()
    assert heard == []


def test_store_that_failed_three_times_rests_for_a_second(breaker, clock, heard):
    open_it(breaker)

    assert not breaker.allows()
    clock.advance(FIRST_REST - 0.001)
    assert not breaker.allows()
    clock.advance(0.001)
    assert breaker.allows()
    assert heard == ["store.down"]


def test_one_caller_alone_tries_after_the_rest(breaker, clock, threads):
    open_it(breaker)
    clock.advance(FIRST_REST)
    barrier = Barrier(20)

    def ask(_number):
        barrier.wait(10)
        return breaker.allows()

    assert sum(threads.map(ask, range(20))) == 1


def test_rest_doubles_with_each_failed_try_up_to_its_longest(breaker, clock):
    open_it(breaker)
    rests = []
    for _ in range(6):
        rests.append(rest_of(breaker, clock))
        breaker.failed()

    assert rests == [1.0, 2.0, 4.0, 8.0, LONGEST_REST, LONGEST_REST]


def rest_of(breaker, clock):
    """Wait until a caller may try; the seconds."""
    waited = 0.0
    while not breaker.allows():
        clock.advance(0.5)
        waited += 0.5
    return waited


def test_errors_of_who_did_not_ask_make_no_rest_longer(breaker, clock):
    open_it(breaker)
    for _ in range(50):
        breaker.failed()

    clock.advance(FIRST_REST)

    assert breaker.allows()


def test_answer_to_anyone_lets_everyone_in(breaker, heard):
    open_it(breaker)

    breaker.answered()

    assert breaker.allows()
    assert not breaker.is_open
    assert heard == ["store.down", "store.up"]
    open_it(breaker)
    assert not breaker.allows()


def test_try_that_never_comes_back_is_followed_by_another(breaker, clock):
    open_it(breaker)
    clock.advance(FIRST_REST)
    assert breaker.allows()

    assert not breaker.allows()
    clock.advance(FIRST_REST)
    assert breaker.allows()
