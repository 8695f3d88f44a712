"""Values under keys of one's own."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.controls import Pause
from askonce.errors import PayloadInvalid, StoreUnavailable, ValueInvalid
from askonce.functions import FunctionCache


@pytest.fixture
def store(clock):
    return MemoryStore(clock)


@pytest.fixture
def values(store):
    return FunctionCache(store).get_cache("sessions")


def test_value_is_kept_under_its_key(values):
    assert values.set("ana", {"cart": [1, 2]})
    values.set("leo", None)

    assert [{"cart": [1, 2]}, None, None] == [values.get("ana"), values.get("leo"), values.get("eve")]


def test_each_reader_gets_a_value_of_its_own(values):
    values.set("ana", [])
    values.get("ana").append("changed")

    assert [] == values.get("ana")


def test_value_is_kept_for_its_time(values, clock):
    values.set("ana", 1, ttl=5)
    clock.advance(4.999)
    assert 1 == values.get("ana")

    clock.advance(0.001)

    assert values.get("ana") is None


def test_last_value_that_is_set_wins(values):
    for number in range(3):
        assert values.set("ana", number)

    assert 2 == values.get("ana")


def test_namespaces_and_processes(store):
    here, there = FunctionCache(store), FunctionCache(store)
    here.get_cache("one").set("ana", 1)

    assert (1, None) == (there.get_cache("one").get("ana"), there.get_cache("two").get("ana"))


def test_deleted_value_is_gone(values):
    values.set("ana", 1)

    assert (True, False) == (values.delete("ana"), values.delete("ana"))
    assert values.get("ana") is None


def test_values_set_at_once_are_whole_and_one_of_them(values):
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda number: values.set("ana", [number] * 100), range(40)))

    value = values.get("ana")
    assert any(written)
    assert 1 == len(set(value))


def test_value_that_may_not_be_set_leaves_the_one_before(values, store):
    values.set("ana", 1)
    store.controls.pause(Pause("all", ""), "ana: why")

    assert (False, 1) == (values.set("ana", 2), values.get("ana"))
    store.controls.resume(Pause("all", ""))
    assert (True, 2) == (values.set("ana", 2), values.get("ana"))


@pytest.mark.parametrize("value", [{1, 2}, b"x", 1j, float("nan")], ids=repr)
def test_value_without_a_json_form_is_refused(values, value):
    with pytest.raises(ValueInvalid, match="sessions"):
        values.set("ana", {"x": value})


def test_key_is_text(values):
    for use in (values.get, values.delete, lambda key: values.set(key, 1)):
        with pytest.raises(PayloadInvalid, match="field=key reason=must be text, not int"):
            use(5)
        with pytest.raises(PayloadInvalid, match="field=key"):
            use("\ud800")


@pytest.mark.parametrize("ttl", [0, -1, float("inf"), float("nan"), True])
def test_time_that_cannot_work_is_refused_by_name(values, ttl):
    with pytest.raises(ValueError, match=r"get_cache\('sessions'\).set: ttl must be"):
        values.set("ana", 1, ttl=ttl)


def test_metrics_count_what_this_process_did(values):
    values.set("ana", 1)
    values.get("ana")
    values.get("ana")
    values.get("eve")
    values.delete("ana")

    seen = {
        "hits": 2,
        "misses": 1,
        "sets": 1,
        "deletes": 1,
        "errors": 0,
        "total_requests": 3,
        "hit_rate": 2 / 3,
    }
    assert seen == values.get_metrics()


def test_child_of_a_fork_waits_for_no_lock_and_counts_anew(store):
    cache = FunctionCache(store)
    values = cache.get_cache("sessions")
    values.set("ana", 1)
    with cache.process().counting:
        cache.forget()  # what a child does, while another thread of its parent counts

        assert (1, 1) == (values.get("ana"), values.get_metrics()["total_requests"])
    assert 0 == values.get_metrics()["sets"]


def test_health_names_the_backend_and_its_latency(values):
    health = values.health_check()

    assert ("healthy", "memory", "sessions") == (health["status"], health["backend"], health["namespace"])
    assert health["latency_ms"] >= 0


def test_store_that_is_away_is_a_miss_an_error_and_not_healthy(values, store, monkeypatch):
    def away(*_, **__):
        raise StoreUnavailable(verb="any", reason="ConnectionError")

    for verb in ("hit", "put", "read", "invalidate"):
        monkeypatch.setattr(store, verb, away)

    assert (None, False, False) == (values.get("ana"), values.set("ana", 1), values.delete("ana"))
    assert (3, 1) == (values.get_metrics()["errors"], values.get_metrics()["misses"])
    health = values.health_check()
    assert ("unhealthy", None) == (health["status"], health["latency_ms"])
    assert "ConnectionError" in health["error"]
