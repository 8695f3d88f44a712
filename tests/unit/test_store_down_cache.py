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
