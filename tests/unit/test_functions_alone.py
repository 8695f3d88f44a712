"""What a process answers by itself: recent answers, and all while the store is away."""

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.errors import StoreUnavailable
from askonce.functions import FunctionCache
from askonce.store_down.cache import LocalCache
from tests.unit.weather import Weather, counted


@pytest.fixture
def store(clock):
    return MemoryStore(clock)


@pytest.fixture
def weather(store):
    return Weather(store, processes=2)


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

    def hit(self, job, meanwhile=0.0):
        self._fail()
        return super().hit(job, meanwhile)

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


def test_refresh_calls_anew_while_the_store_is_away(away, monkeypatch):
    forecast = away.cached()
    forecast("Lisbon")
    monkeypatch.setattr(Away, "down", True)

    assert {"city": "Lisbon", "days": [3]} == forecast.refresh("Lisbon")

    assert ("call", True, 2) == (forecast.last().source, forecast.last().degraded, len(away.calls))


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
