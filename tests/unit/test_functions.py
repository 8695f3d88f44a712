"""Cached functions in threads; a second FunctionCache on the store stands for another process."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.errors import Permanent, StoreUnavailable, ValueInvalid
from askonce.functions import FunctionCache
from askonce.store_down.cache import LocalCache
from tests.deadlines import stretched


class Weather:
    """A function that notes its calls, and one cache for each process."""

    def __init__(self, store, processes=1):
        self.store, self.calls, self.heard, self.errors = store, [], [], []
        self.gate = Event()
        self.gate.set()
        self.caches = [FunctionCache(store, listen=self.heard.append, patience=0) for _ in range(processes)]

    def forecast(self, city, days=3):
        self.calls.append((city, days))
        assert self.gate.wait(stretched(20))
        if self.errors:
            raise self.errors.pop(0)
        return {"city": city, "days": [days]}

    def cached(self, process=0, namespace="forecast", **options):
        return self.caches[process].cached_json(namespace, **options)(self.forecast_)

    @property
    def forecast_(self):
        def forecast(city, days=3):
            return self.forecast(city, days)

        return forecast

    def names(self):
        return [event.name for event in self.heard]


@pytest.fixture
def store(clock):
    return MemoryStore(clock)


@pytest.fixture
def weather(store):
    return Weather(store, processes=2)


def at_once(function, count):
    """Call *function* in many threads at the same moment; return what each returned or raised."""
    barrier = Barrier(count)

    def one(number):
        barrier.wait(stretched(20))
        try:
            return function(number)
        except Exception as error:  # noqa: BLE001  # the test looks at it
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


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


def test_error_of_ours_is_kept_for_nobody_either(weather):
    weather.errors = [Permanent("no_such_city")]
    forecast = weather.cached()

    with pytest.raises(Permanent):
        forecast("Lisbon")

    assert {"city": "Lisbon", "days": [3]} == forecast("Lisbon")
    assert {"city": "Lisbon", "days": [3]} == weather.cached(1)("Lisbon")


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


def attached(store):
    return sum(number for counter, number in store.tally.totals().items() if counter.what == "attached")


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


def test_recent_answer_is_served_without_the_store_and_counted(weather, eventually):
    forecast = weather.cached(local_ttl=60)
    weather.caches[0].process()
    forecast("Lisbon")
    eventually(lambda: weather.store._records.hearing)
    forecast("Lisbon")
    asked = []
    weather.store.hit = weather.store.admit = lambda *_: asked.append(1)

    answers = [forecast("Lisbon") for _ in range(5)]

    assert [{"city": "Lisbon", "days": [3]}] * 5 == answers
    assert (0, "cache") == (len(asked), forecast.last().source)
    eventually(lambda: counted(weather.store, "hit_in_memory") >= 5)


def counted(store, what):
    return sum(number for counter, number in store.tally.totals().items() if counter.what == what)


def test_recent_answer_is_served_for_its_local_time_only(store, clock):
    heard, calls = [], []
    cache = FunctionCache(store, local_cache=lambda: LocalCache(clock=clock), listen=heard.append)
    ask = cache.cached_json("metrics", ttl=600, local_ttl=5)(lambda: calls.append(1) or 1)
    ask()
    clock.advance(5)

    ask()

    assert ["job.hit"] == [event.name for event in heard if event.name == "job.hit"]
    assert 1 == len(calls)


def test_recent_answer_of_another_process_is_dropped_when_it_is_invalidated(weather, eventually):
    here, there = weather.cached(0, local_ttl=3600), weather.cached(1, local_ttl=3600)
    here("Lisbon")
    eventually(lambda: weather.store._records.hearing)
    here("Lisbon")

    there.invalidate("Lisbon")

    eventually(lambda: here("Lisbon") and len(weather.calls) == 2)


class Away(MemoryStore):
    """A store that does not answer while it is down."""

    down = False

    def __getattribute__(self, name):
        if name in ("hit", "admit", "start", "complete", "fail", "read") and Away.down:
            raise StoreUnavailable(verb=name, reason="ConnectionError")
        return super().__getattribute__(name)


@pytest.fixture
def away(monkeypatch):
    monkeypatch.setattr(Away, "down", False)
    return Weather(Away())


def test_function_runs_without_the_store_and_says_so(away, monkeypatch):
    forecast = away.cached()
    monkeypatch.setattr(Away, "down", True)

    answers = [forecast("Lisbon"), forecast("Lisbon")]

    assert [{"city": "Lisbon", "days": [3]}] * 2 == answers
    assert forecast.last().degraded
    assert 1 == len(away.calls)
    assert "job.degraded" in away.names()


def test_store_that_answers_again_in_time_saves_the_call(clock, eventually):
    away, asked = Flickering(clock), []
    cache = FunctionCache(away, patience=60)
    ask = cache.cached_json("forecast")(lambda: asked.append(1) or 1)
    ask()
    cache.process().cache.invalidate(None)
    away.failures = 5

    assert 1 == ask()

    assert (1, "cache", False) == (len(asked), ask.last().source, ask.last().degraded)


class Flickering(MemoryStore):
    """A store that does not answer a few times."""

    failures = 0

    def _fail(self):
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable(verb="any", reason="TimeoutError")

    def hit(self, job):
        self._fail()
        return super().hit(job)

    def admit(self, claim):
        self._fail()
        return super().admit(claim)

    def read(self, keys):
        self._fail()
        return super().read(keys)


def test_answer_from_before_is_served_while_the_store_is_away(away, monkeypatch):
    forecast = away.cached()
    forecast("Lisbon")
    monkeypatch.setattr(Away, "down", True)

    forecast("Lisbon")

    assert ("cache", True, 1) == (forecast.last().source, forecast.last().degraded, len(away.calls))


def test_error_is_the_callers_own_while_the_store_is_away(away, monkeypatch):
    forecast, error = away.cached(), KeyError("city")
    away.errors = [error]
    monkeypatch.setattr(Away, "down", True)

    with pytest.raises(KeyError) as caught:
        forecast("Lisbon")

    assert caught.value is error
    assert error.__context__ is None
    assert {"city": "Lisbon", "days": [3]} == forecast("Lisbon")


def test_calls_without_the_store_are_bounded(away, monkeypatch):
    forecast = away.cached()
    monkeypatch.setattr(Away, "down", True)
    away.caches[0].process().answering.local._budget = 2

    forecast("Lisbon")
    forecast("Porto")

    with pytest.raises(StoreUnavailable, match="calls_spent"):
        forecast("Oslo")
    assert 2 == len(away.calls)


def test_answer_made_without_the_store_is_kept_when_it_is_back(away, monkeypatch, eventually):
    forecast = away.cached()
    monkeypatch.setattr(Away, "down", True)
    forecast("Lisbon")
    monkeypatch.setattr(Away, "down", False)

    eventually(lambda: "job.stored_late" in away.names())
    forecast("Lisbon")

    assert (False, 1) == (forecast.last().degraded, len(away.calls))
