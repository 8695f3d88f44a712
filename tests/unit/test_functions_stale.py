"""Stale answers of cached functions, and answers that are made anew."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from threading import Event, Thread

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.controls import Mark, Pause
from askonce.errors import Postponed
from tests.deadlines import stretched
from tests.unit.conftest import Failing
from tests.unit.weather import Weather, attached


@pytest.fixture
def store(clock):
    return MemoryStore(clock)


@pytest.fixture
def weather(store):
    return Weather(store, processes=2)


def test_stale_answer_is_served_when_the_call_fails(weather, clock):
    forecast = weather.cached(ttl=60, stale_if_error=600)
    forecast("Lisbon")
    clock.advance(100)
    weather.errors = [OSError("away")]

    assert {"city": "Lisbon", "days": [3]} == forecast("Lisbon")
    assert ("stale", 100.0) == (forecast.last().source, forecast.last().age)
    assert "job.reused" in weather.names()


def test_stale_answer_is_not_served_beyond_its_time(weather, clock):
    forecast = weather.cached(ttl=60, stale_if_error=600)
    forecast("Lisbon")
    clock.advance(60 + 600)
    weather.errors = [OSError("away")]

    with pytest.raises(OSError, match="away"):
        forecast("Lisbon")


def test_stale_answer_that_is_kept_for_longer_is_not_served_either(weather, clock):
    forecast = weather.cached(ttl=60, stale_if_error=30, keep=3600)
    forecast("Lisbon")
    clock.advance(60 + 31)
    weather.errors = [OSError("away")]

    with pytest.raises(OSError, match="away"):
        forecast("Lisbon")


@pytest.mark.parametrize("how", ["mark", "invalidate", "keep", "stale_if_error"])
def test_stale_answer_that_is_gone_when_the_call_fails_is_not_served(weather, clock, how):
    times = {"stale_if_error": 100} if how == "stale_if_error" else {}

    @weather.caches[0].cached_json("gone", ttl=60, keep=3600, **times)
    def ask():
        weather.calls.append(1)
        if len(weather.calls) > 1:
            remove[how]()
            raise OSError("away")
        return 1

    remove = {
        "mark": lambda: weather.store.controls.mark(Mark("all")),
        "invalidate": lambda: weather.store.invalidate(ask.cache_key()),
        "keep": lambda: clock.advance(3600),
        "stale_if_error": lambda: clock.advance(61),
    }
    ask()
    clock.advance(100)

    with pytest.raises(OSError, match="away"):
        ask()


def test_age_of_a_stale_answer_is_that_of_the_moment_at_which_the_call_failed(weather, clock):
    @weather.caches[0].cached_json("age", ttl=60, keep=3600)
    def ask():
        weather.calls.append(1)
        if len(weather.calls) > 1:
            clock.advance(20)
            raise OSError("away")
        return 1

    ask()
    clock.advance(100)

    assert 1 == ask()
    assert 120.0 == ask.last().age
    assert 60.0 <= ask.last().stale_for


@pytest.mark.parametrize("seconds", [20, 3500])
def test_stale_answer_is_served_within_its_keep_where_the_failure_cannot_be_written(store, clock, seconds):
    failing = Failing(store, "fail", 0)
    weather = Weather(failing)

    @weather.caches[0].cached_json("unwritten", ttl=60, keep=3600)
    def ask():
        weather.calls.append(1)
        if len(weather.calls) > 1:
            failing.left = 1
            clock.advance(seconds)
            raise OSError("away")
        return 1

    object.__setattr__(weather.caches[0].process().executor, "clock", clock)
    ask()
    clock.advance(100)

    if seconds < 3500:
        assert 1 == ask()
        assert 100.0 + seconds == pytest.approx(ask.last().age)
    else:
        with pytest.raises(OSError, match="away"):
            ask()


@pytest.mark.parametrize("is_gone", [False, True])
def test_call_that_a_pause_holds_back_at_its_start_is_served_what_is_there_then(weather, clock, is_gone):
    forecast, start = weather.cached(ttl=60, keep=3600), weather.store.start
    forecast("Lisbon")
    clock.advance(100)

    def start_later(*args, **options):
        weather.store.controls.pause(Pause("all"), "invoice")
        if is_gone:
            weather.store.controls.mark(Mark("all"))
        return start(*args, **options)

    weather.store.start = start_later

    if is_gone:
        with pytest.raises(Postponed, match="paused"):
            forecast("Lisbon")
    else:
        assert {"city": "Lisbon", "days": [3]} == forecast("Lisbon")
    assert 1 == len(weather.calls)


@pytest.mark.parametrize("is_gone", [False, True])
def test_who_waits_for_another_process_is_served_what_is_there_when_its_call_fails(
    weather, clock, eventually, is_gone
):
    here, there = weather.cached(0, ttl=60, keep=3600), weather.cached(1, ttl=60, keep=3600)
    here("Lisbon")
    clock.advance(100)
    weather.gate.clear()
    weather.errors = [OSError("away")]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(here, "Lisbon")
        eventually(lambda: len(weather.calls) == 2)
        second = pool.submit(lambda: (there("Lisbon"), there.last().source)[1])
        eventually(lambda: attached(weather.store))
        if is_gone:
            weather.store.controls.mark(Mark("all"))
        weather.gate.set()
        first.exception(stretched(20))

        assert ("call" if is_gone else "stale") == second.result(stretched(20))


def test_without_more_time_no_answer_is_served_that_is_not_fresh(weather, clock):
    forecast = weather.cached(ttl=60)
    forecast("Lisbon")
    clock.advance(60)
    weather.errors = [OSError("away")]

    with pytest.raises(OSError, match="away"):
        forecast("Lisbon")


def test_call_that_failed_is_left_alone_while_there_is_a_stale_answer(weather, clock):
    forecast = weather.cached(ttl=60, keep=3600)
    forecast("Lisbon")
    clock.advance(100)
    weather.errors = [OSError("away"), OSError("away")]
    process = weather.caches[0].process()
    object.__setattr__(process.executor, "draw", lambda _least, most: most)

    answers = [forecast("Lisbon") for _ in range(5)]

    assert [{"city": "Lisbon", "days": [3]}] * 5 == answers
    assert 2 == len(weather.calls)
    clock.advance(1)
    forecast("Lisbon")
    assert 3 == len(weather.calls)


def test_stale_answer_is_served_at_once_while_one_call_makes_it_anew(weather, clock, eventually):
    forecast = weather.cached(ttl=60, stale_while_revalidate=600)
    forecast("Lisbon")
    clock.advance(100)
    weather.gate.clear()

    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(forecast, "Lisbon") for _ in range(10)]
        try:
            eventually(lambda: all(each.done() for each in asked), 5)
        finally:
            weather.gate.set()

    assert [{"city": "Lisbon", "days": [3]}] * 10 == [each.result() for each in asked]
    eventually(lambda: forecast.last() and forecast("Lisbon") and forecast.last().source == "cache")
    assert 2 == len(weather.calls)


def test_calls_that_are_made_anew_may_wait_for_each_other(weather, clock, eventually):
    inner = weather.cached(ttl=60, stale_while_revalidate=60, namespace="inner")
    entered, go = [], Event()
    go.set()

    @weather.caches[0].cached_json("outer", ttl=60, stale_while_revalidate=3600)
    def outer(number):
        entered.append(number)
        assert go.wait(stretched(20))
        return inner("Lisbon")

    crowd = range(8)
    for number in crowd:
        outer(number)
    clock.advance(100)
    go.clear()
    for number in crowd:
        outer(number)
    # Stale too: it is made anew after those of the crowd, who need it.
    inner("Lisbon")
    clock.advance(100)
    go.set()

    answers = []
    Thread(target=lambda: answers.append(inner("Lisbon")), daemon=True).start()
    try:
        eventually(lambda: answers, 3)
    finally:
        # Where they wait for each other: or no process that tests this would end.
        threads = weather.caches[0].process().threads
        for end in tuple(threads._queued):
            threads._go_queued(end)
    assert [{"city": "Lisbon", "days": [3]}] == answers
    eventually(lambda: len(entered) == 2 * len(crowd))


def test_answer_is_made_anew_in_the_context_of_its_caller(weather, clock, eventually):
    seen, user = [], ContextVar("user", default="")

    @weather.caches[0].cached_json("users", ttl=60, stale_while_revalidate=600)
    def look():
        seen.append(user.get())
        return 1

    user.set("ana")
    look()
    clock.advance(100)
    look()

    eventually(lambda: len(seen) == 2)
    assert ["ana", "ana"] == seen


def test_function_that_is_made_anew_may_ask_for_its_caller(weather, clock, eventually):
    cache, made = weather.caches[0], []

    @cache.cached_json("inner", ttl=60, stale_while_revalidate=600)
    def inner():
        made.append(outer() if made else 0)
        return len(made)

    @cache.cached_json("outer", ttl=600)
    def outer():
        return inner()

    inner()
    clock.advance(100)
    outer()

    eventually(lambda: len(made) == 2)
    assert [0, 1] == made


def test_answer_that_is_too_stale_is_waited_for(weather, clock):
    forecast = weather.cached(ttl=60, stale_while_revalidate=30)
    forecast("Lisbon")
    clock.advance(60 + 30)

    forecast("Lisbon")

    assert "call" == forecast.last().source


def test_invalidated_answer_is_made_anew_by_every_process(weather):
    here, there = weather.cached(0), weather.cached(1)
    here("Lisbon")
    here("Porto")

    assert (True, False) == (there.invalidate("Lisbon"), there.invalidate("Oslo"))

    here("Lisbon")
    here("Porto")
    assert [("Lisbon", 3), ("Porto", 3), ("Lisbon", 3)] == weather.calls


def test_answer_of_a_run_that_was_invalidated_under_way_is_its_callers_alone(weather, eventually):
    forecast = weather.cached(local_ttl=60)
    weather.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(forecast, "Lisbon")
        eventually(lambda: weather.calls)
        forecast.invalidate("Lisbon")
        weather.gate.set()
        first.result(stretched(20))

    forecast("Lisbon")

    assert 2 == len(weather.calls)


def test_who_waits_for_a_run_that_was_invalidated_under_way_asks_again(weather, eventually):
    data, go = ["old"], Event()

    @weather.caches[0].cached_json("data")
    def read():
        seen = data[-1]
        weather.calls.append(seen)
        assert seen == "new" or go.wait(stretched(20))
        return seen

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(read)
        eventually(lambda: weather.calls)
        waiting = pool.submit(read)
        eventually(lambda: attached(weather.store))
        data.append("new")
        read.invalidate()
        go.set()

        assert ["old", "new"] == [each.result(stretched(20)) for each in (first, waiting)]
    assert ["old", "new"] == weather.calls
    assert ("new", "cache") == (read(), read.last().source)


def test_refresh_calls_anew_and_keeps_the_answer(weather):
    forecast = weather.cached()
    forecast("Lisbon")

    assert {"city": "Lisbon", "days": [3]} == forecast.refresh("Lisbon")

    forecast("Lisbon")
    assert 2 == len(weather.calls)


def test_refresh_that_fails_raises_and_leaves_the_answer(weather):
    forecast = weather.cached(ttl=60, keep=600)
    forecast("Lisbon")
    weather.errors = [OSError("away")]

    with pytest.raises(OSError, match="away"):
        forecast.refresh("Lisbon")

    assert {"city": "Lisbon", "days": [3]} == forecast("Lisbon")
    assert 2 == len(weather.calls)
