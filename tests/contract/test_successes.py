import pytest

from askonce.adapters.redis import RedisStore
from askonce.errors import StoreUnavailable
from askonce.tally import ENTRIES_KEPT

# One suite for every store: when each entry of the schedule succeeded last.


def test_entry_that_never_succeeded_has_no_time(scene):
    assert {} == scene.store.tally.successes()


def test_last_success_of_each_entry_is_kept_by_the_clock_of_the_store(scene):
    began = scene.admit().record.now / 1000
    scene.store.tally.succeeded("orders every night")
    scene.clock.advance(60)
    scene.store.tally.succeeded("rates: ü")
    scene.clock.advance(60)
    scene.store.tally.succeeded("orders every night")

    found = scene.store.tally.successes()

    assert {"orders every night": 120.0, "rates: ü": 60.0} == {
        entry: round(at - began, 1) for entry, at in found.items()
    }


def test_entry_whose_success_is_the_longest_ago_makes_room(scene):
    names = [f"entry {number}" for number in range(ENTRIES_KEPT)]
    for name in (*names, "entry 0", "new"):
        scene.clock.advance(1)
        scene.store.tally.succeeded(name)

    assert {*names, "new"} - {"entry 1"} == set(scene.store.tally.successes())


def test_success_is_no_counter(scene):
    scene.store.tally.succeeded("orders every night")
    scene.clock.advance(3 * 86_400)
    scene.store.tally.fold()

    assert {} == scene.store.tally.totals()
    assert ["orders every night"] == list(scene.store.tally.successes())


@pytest.mark.integration
def test_time_that_something_else_overwrote_is_a_store_that_refuses(client):
    store = RedisStore(client, namespace="test")
    client.set("{askonce:test:tally}:successes", "no hash")

    with pytest.raises(StoreUnavailable):
        store.tally.succeeded("orders every night")
    with pytest.raises(StoreUnavailable):
        store.tally.successes()

    store.close()
