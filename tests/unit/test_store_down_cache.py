from dataclasses import replace

import pytest

from askonce.answer import Meta, StoredValue
from askonce.store_down.cache import _OVERHEAD, LocalCache

VALUE = StoredValue(data=b"j1", meta=Meta(), fence=1, stored_at=0.0, age=0.0, fresh_for=1.0)
SIZE = len(VALUE.data) + _OVERHEAD


@pytest.fixture
def cache(clock):
    return LocalCache(max_bytes=3 * SIZE, ttl=60.0, clock=clock)


def put(cache, key, fresh_for=600.0, **fields):
    cache.put(key, "fp", "job", replace(VALUE, **fields), fresh_for)


def kept(cache, *keys):
    return [key for key in keys if cache.get(key, "fp")]


def test_answer_is_kept_for_the_ttl_of_the_cache(cache, clock):
    put(cache, "a")
    clock.advance(59.5)
    assert cache.get("a", "fp") == ("job", VALUE, 59.5)

    clock.advance(0.5)

    assert cache.get("a", "fp") is None
    assert cache.bytes == 0


def test_answer_is_kept_no_longer_than_it_is_fresh(cache, clock):
    put(cache, "a", fresh_for=5.0)

    clock.advance(5.0)

    assert cache.get("a", "fp") is None


def test_answer_of_another_payload_is_not_given(cache):
    put(cache, "a")

    assert cache.get("a", "other") is None
    assert cache.get("a", "fp")


def test_least_recently_used_answers_go_first(cache):
    for key in "abc":
        put(cache, key)
    cache.get("a", "fp")

    put(cache, "d")

    assert kept(cache, *"abcd") == ["a", "c", "d"]


def test_no_more_bytes_are_kept_than_allowed(cache):
    for number in range(50):
        put(cache, f"{number}", data=b"x" * number)
        assert cache.bytes <= 3 * SIZE
    assert cache.bytes > 0


def test_answer_that_alone_is_too_large_drops_no_other(cache):
    put(cache, "a")

    put(cache, "b", data=b"x" * 3 * SIZE)

    assert kept(cache, "a", "b") == ["a"]


def test_newer_answer_takes_the_place_of_the_older(cache):
    for _ in range(10):
        put(cache, "a")

    assert cache.bytes == SIZE


def test_no_more_entries_are_kept_than_allowed(clock):
    cache = LocalCache(max_entries=2, clock=clock)
    for key in "abc":
        put(cache, key)

    assert kept(cache, *"abc") == ["b", "c"]
    assert cache.bytes == 2 * SIZE


def test_recent_answer_is_given_for_its_time_only(cache, clock):
    put(cache, "a")
    clock.advance(4.5)
    assert cache.recent("a", "fp", 5.0).value == VALUE

    clock.advance(0.5)

    assert cache.recent("a", "fp", 5.0) is None
    assert cache.get("a", "fp")


def test_recent_answer_is_given_no_longer_than_it_is_fresh(cache, clock):
    put(cache, "a", fresh_for=2.0)

    clock.advance(2.0)

    assert cache.recent("a", "fp", 5.0) is None


def test_recent_answer_of_another_payload_is_not_given(cache):
    put(cache, "a")

    assert cache.recent("a", "other", 5.0) is None


def test_recent_answer_that_is_used_is_not_the_first_to_go(cache):
    for key in "abc":
        put(cache, key)
    cache.recent("a", "fp", 5.0)

    put(cache, "d")

    assert kept(cache, *"abcd") == ["a", "c", "d"]


def test_invalidated_answers_are_forgotten(cache):
    for key in "abc":
        put(cache, key)

    cache.invalidate(["a"])
    assert kept(cache, *"abc") == ["b", "c"]
    cache.invalidate(None)

    assert kept(cache, *"abc") == []
    assert cache.bytes == 0


def test_answer_that_was_asked_for_before_an_invalidation_is_not_kept(cache):
    asked = cache.epoch
    cache.invalidate(["b"])

    cache.put("a", "fp", "job", VALUE, 600.0, asked=asked)

    assert kept(cache, "a") == []
