from threading import Barrier

import pytest

from askonce.store_down.breaker import _ERRORS, _FIRST_REST, _LONGEST_REST, Breaker


@pytest.fixture
def breaker(clock, heard):
    return Breaker(listen=heard.append, clock=clock)


def open_it(breaker):
    for _ in range(_ERRORS):
        breaker.failed()


def test_breaker_stays_closed_below_three_errors_in_a_row(breaker, heard):
    for _ in range(5):
        for _ in range(_ERRORS - 1):
            breaker.failed()
        breaker.answered()

    assert breaker.allows()
    assert heard.names == []


def test_breaker_opens_for_a_second_after_three_errors(breaker, clock, heard):
    open_it(breaker)

    assert not breaker.allows()
    clock.advance(_FIRST_REST - 0.001)
    assert not breaker.allows()
    clock.advance(0.001)
    assert breaker.allows()
    assert heard.names == ["store.down"]


def test_only_one_caller_probes_after_the_rest(breaker, clock, threads):
    open_it(breaker)
    clock.advance(_FIRST_REST)
    barrier = Barrier(20)

    def ask(_number):
        barrier.wait(10)
        return breaker.allows()

    assert sum(threads.map(ask, range(20))) == 1


def test_rest_doubles_with_each_failed_probe_up_to_its_longest(breaker, clock):
    open_it(breaker)
    rests = []
    for _ in range(6):
        rests.append(rest_of(breaker, clock))
        breaker.failed()

    assert rests == [1.0, 2.0, 4.0, 8.0, _LONGEST_REST, _LONGEST_REST]


def rest_of(breaker, clock):
    """Wait until a caller may try; the seconds."""
    waited = 0.0
    while not breaker.allows():
        clock.advance(0.5)
        waited += 0.5
    return waited


def test_error_of_a_call_that_is_no_probe_makes_no_rest_longer(breaker, clock):
    open_it(breaker)
    for _ in range(50):
        breaker.failed()

    clock.advance(_FIRST_REST)

    assert breaker.allows()


def test_breaker_closes_when_any_call_is_answered(breaker, heard):
    open_it(breaker)

    breaker.answered()

    assert breaker.allows()
    assert not breaker.is_open
    assert heard.names == ["store.down", "store.up"]
    open_it(breaker)
    assert not breaker.allows()


def test_probe_that_never_returns_is_followed_by_another(breaker, clock):
    open_it(breaker)
    clock.advance(_FIRST_REST)
    assert breaker.allows()

    assert not breaker.allows()
    clock.advance(_FIRST_REST)
    assert breaker.allows()


def test_refusal_is_reported_once_a_minute_and_keeps_no_caller_off(breaker, clock, heard):
    for _ in range(2 * _ERRORS):
        breaker.refused("oom", "127.0.0.1:6379/0")
    breaker.refused("noperm", "127.0.0.1:6379/0")
    clock.advance(60.0)
    breaker.refused("oom", "127.0.0.1:6379/0")

    assert breaker.allows()
    assert heard.names == ["store.refused"] * 3
    assert [event.data["reason"] for event in heard] == ["oom", "noperm", "oom"]
