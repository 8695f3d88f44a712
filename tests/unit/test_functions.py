"""Cached functions in threads: one call, one error, objects of one's own."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.answer import Encoded, Ttl
from askonce.controls import Pause
from askonce.errors import Permanent, Postponed, ValueInvalid
from askonce.reaper import Reaper
from askonce.record import BUCKETS
from tests.deadlines import stretched
from tests.unit.weather import Weather, at_once, attached


@pytest.fixture
def store(clock):
    return MemoryStore(clock)


@pytest.fixture
def weather(store):
    return Weather(store, processes=2)


def test_function_is_called_once_while_its_answer_is_fresh(weather, clock):
    forecast = weather.cached(ttl=60)

    answers = [forecast("Lisbon"), forecast("Lisbon", 3), forecast(city="Lisbon"), forecast("Porto")]

    lisbon, porto = {"city": "Lisbon", "days": [3]}, {"city": "Porto", "days": [3]}
    assert [lisbon, lisbon, lisbon, porto] == answers
    clock.advance(60)
    assert lisbon == forecast("Lisbon")
    assert [("Lisbon", 3), ("Porto", 3), ("Lisbon", 3)] == weather.calls


def test_processes_share_an_answer(weather):
    weather.cached(0)("Lisbon")

    assert {"city": "Lisbon", "days": [3]} == weather.cached(1)("Lisbon")
    assert 1 == len(weather.calls)


def test_each_caller_may_change_its_answer(weather):
    forecast = weather.cached(local_ttl=60)
    for _ in range(3):
        forecast("Lisbon")["days"].append("changed")

    assert {"city": "Lisbon", "days": [3]} == forecast("Lisbon")


def test_callers_at_once_share_one_call_and_get_objects_of_their_own(weather):
    forecast = weather.cached()
    weather.gate.clear()

    def ask(number):
        if number == 0:
            weather.gate.set()
        return forecast("Lisbon")

    answers = at_once(ask, 30)

    assert [{"city": "Lisbon", "days": [3]}] * 30 == answers
    assert 30 == len({id(answer["days"]) for answer in answers})
    assert 1 == len(weather.calls)


def test_answer_is_the_json_of_what_was_returned(weather):
    pair = weather.caches[0].cached_json("pairs")(lambda: ("a", {1: None}.get(1), 1.0))

    assert [["a", None, 1.0]] * 2 == [pair(), pair()]


def test_error_is_the_callers_own_and_is_kept_for_nobody(weather):
    error = KeyError("what the function says")
    weather.errors = [error]
    forecast = weather.cached()

    with pytest.raises(KeyError) as caught:
        forecast("Lisbon")

    assert caught.value is error
    assert (None, None, False) == (error.__cause__, error.__context__, error.__suppress_context__)
    assert {"city": "Lisbon", "days": [3]} == forecast("Lisbon")


@pytest.mark.parametrize("scope", ["all", "task"])
def test_pause_is_told_to_its_callers_at_once(weather, clock, scope):
    pause = Pause(scope, "fn.forecast" if scope == "task" else "")
    forecast, controls = weather.cached(ttl=60), weather.store.controls
    forecast("Lisbon")
    controls.pause(pause, "ana: over the limit")

    assert {"city": "Lisbon", "days": [3]} == forecast("Lisbon")
    for ask in (forecast, weather.cached(1), forecast.refresh):
        with pytest.raises(Postponed, match=r"reason=paused note=ana: over the limit function=.*forecast"):
            ask("Porto")

    assert [("Lisbon", 3)] == weather.calls
    controls.resume(pause)
    clock.advance(1)
    assert {"city": "Porto", "days": [3]} == forecast("Porto")


def test_stale_answer_is_served_while_its_call_is_paused(weather, clock):
    forecast = weather.cached(ttl=60, stale_if_error=600)
    forecast("Lisbon")
    clock.advance(100)
    weather.store.controls.pause(Pause("all", ""), "ana: why")

    assert {"city": "Lisbon", "days": [3]} == forecast("Lisbon")
    assert "stale" == forecast.last().source


def test_end_of_an_iterator_is_an_error_like_others(weather):
    error = StopIteration("none left")
    weather.errors = [error]

    with pytest.raises(StopIteration) as caught:
        weather.cached()("Lisbon")

    assert caught.value is error


def test_error_of_ours_is_kept_for_nobody_either(weather):
    weather.errors = [Permanent("no_such_city")]
    forecast = weather.cached()

    with pytest.raises(Permanent):
        forecast("Lisbon")

    assert {"city": "Lisbon", "days": [3]} == forecast("Lisbon")
    assert {"city": "Lisbon", "days": [3]} == weather.cached(1)("Lisbon")


def test_answer_that_came_after_the_failure_of_another_process_is_taken(store, weather):
    here, there = weather.cached(0, keep=36_000), weather.cached(1, keep=36_000)
    weather.errors, admit = [OSError("away")], store.admit
    object.__setattr__(weather.caches[0].process().executor, "draw", lambda _least, most: most)
    with pytest.raises(OSError, match="away"):
        here("Lisbon")
    asked = []

    def admit_later(claim):
        asked.append(claim)
        if len(asked) == 2:
            # A third process was faster.
            store.put(claim.job, Encoded(b'j"of the third"', b""), Ttl(60.0, 60.0))
        return admit(claim)

    store.admit = admit_later

    assert "of the third" == there("Lisbon")
    assert (2, 1) == (len(asked), len(weather.calls))


def test_text_of_an_error_is_in_no_event(weather):
    weather.errors = [ValueError("a customer's secret")]

    with pytest.raises(ValueError, match="secret"):
        weather.cached()("Lisbon")

    assert "job.failed" in weather.names()
    assert not [event for event in weather.heard if "secret" in repr(event)]


def test_callers_of_one_process_get_the_same_error(weather, eventually):
    forecast, error = weather.cached(), OSError("away")
    weather.errors = [error]
    weather.gate.clear()
    process = weather.caches[0].process()

    def ask(number):
        if number == 0:
            eventually(lambda: process.store.tally.totals() and attached(process.store) == 9)
            weather.gate.set()
            return None
        return forecast("Lisbon")

    ends = at_once(ask, 11)[1:]

    assert [error] * 10 == ends
    assert 1 == len(weather.calls)


def test_callers_of_another_process_make_the_call_themselves(weather, eventually):
    here, there = weather.cached(0), weather.cached(1)
    weather.errors = [OSError("away")]
    weather.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(here, "Lisbon")
        eventually(lambda: weather.calls)
        others = [pool.submit(there, "Lisbon") for _ in range(3)]
        eventually(lambda: attached(weather.store) == 3)
        weather.gate.set()

        ends = [other.result(stretched(20)) for other in others]

    assert isinstance(first.exception(), OSError)
    assert [{"city": "Lisbon", "days": [3]}] * 3 == ends
    assert 2 == len(weather.calls)


def test_end_of_a_thread_is_not_the_end_of_those_who_wait_for_it(weather, eventually):
    forecast = weather.cached()
    weather.errors = [SystemExit(3)]
    weather.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(forecast, "Lisbon")
        eventually(lambda: weather.calls)
        other = pool.submit(forecast, "Lisbon")
        eventually(lambda: attached(weather.store) == 1)
        weather.gate.set()

        assert other.exception(stretched(20)) is None
        assert {"city": "Lisbon", "days": [3]} == other.result()
    assert isinstance(first.exception(), SystemExit)


def test_answer_without_a_json_form_is_refused_by_name(weather):
    odd = weather.caches[0].cached_json("odd")(lambda: {"when": {1, 2}})

    for _ in range(2):
        with pytest.raises(ValueInvalid, match=r"field=when .*function=.*<lambda>"):
            odd()


def test_last_tells_where_the_answer_came_from(weather, clock):
    forecast = weather.cached()
    assert forecast.last() is None

    forecast("Lisbon")
    made = forecast.last()
    clock.advance(20)
    forecast("Lisbon")
    kept = forecast.last()

    assert ("call", 0.0, made.value) == (made.source, made.age, {"city": "Lisbon", "days": [3]})
    assert ("cache", 20.0, made.value) == (kept.source, kept.age, kept.value)


def test_function_that_waits_for_itself_is_told(weather):
    cache = weather.caches[0]

    @cache.cached_json("loop")
    def loop(number):
        return loop(number)

    with pytest.raises(RecursionError, match="loop was called with the same arguments"):
        loop(1)


def test_function_may_call_itself_for_other_arguments(weather):
    cache = weather.caches[0]

    @cache.cached_json("fibonacci")
    def fibonacci(number):
        weather.calls.append(number)
        return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)

    assert 55 == fibonacci(10)
    assert sorted(weather.calls) == list(range(11))


def test_hits_and_calls_are_counted(weather):
    forecast = weather.cached()
    for _ in range(3):
        forecast("Lisbon")

    counted = {
        each.what: number
        for each, number in weather.store.tally.totals().items()
        if each.task == "fn.forecast"
    }
    assert (1, 1, 2) == (counted["admitted"], counted["done"], counted["hit"])
    assert 2 == weather.names().count("job.hit")


def test_reaper_ends_what_a_killed_process_left_and_sends_no_message(weather, clock, eventually):
    here, there = weather.cached(0), weather.cached(1)
    weather.gate.clear()
    sent = []
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(here, "Lisbon")
        eventually(lambda: weather.calls)
        # As long as a lease: the process of the first call looks dead to the store.
        clock.advance(31)

        Reaper(weather.store, sent.append).sweep(range(BUCKETS))

        seen = weather.store.read([here.cache_key("Lisbon")])[0]
        weather.gate.set()
        assert {"city": "Lisbon", "days": [3]} == there("Lisbon")
        first.result(stretched(20))
    assert ([], "idle") == (sent, seen.flight)
