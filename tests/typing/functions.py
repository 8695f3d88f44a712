"""Uses cached functions as a strict type checker sees them; checked by test_api.py, never run."""

from __future__ import annotations

from typing import assert_type

from askonce import Result
from askonce.functions import FunctionCache, Values, cached_json, configure, get_cache
from askonce.job import Key
from askonce.store import Store


def connect(store: Store) -> FunctionCache:
    """One cache of the process, and one of one's own."""
    configure(store, ttl={"forecast": 600.0})
    configure(lambda: store)
    return FunctionCache(store, lease=10.0)


@cached_json("forecast")
def forecast(city: str, days: int = 3) -> dict[str, int]:
    """A function keeps its signature."""
    return {city: days}


@cached_json("local-info", ttl=86400, ignore=("service",))
async def local_info(service: object, place: str) -> list[str]:
    """So does an async one."""
    return [place]


class Shop:
    """A method keeps its own."""

    @cached_json("prices", ignore=("self",))
    def price(self, item: str) -> float:
        """Return a price."""
        return len(item) * 1.5

    @cached_json("stock", ignore=("self",))
    async def stock(self, item: str) -> int:
        """Return how many there are."""
        return len(item)


def use(shop: Shop) -> None:
    """What callers get."""
    assert_type(forecast("Lisbon"), dict[str, int])
    assert_type(forecast("Lisbon", days=5), dict[str, int])
    assert_type(forecast.refresh("Lisbon"), dict[str, int])
    assert_type(forecast.invalidate("Lisbon"), bool)
    assert_type(forecast.cache_key("Lisbon", 5), Key)
    assert_type(forecast.last(), Result | None)
    assert_type(forecast.__wrapped__("Lisbon"), dict[str, int])
    assert_type(shop.price("book"), float)
    assert_type(Shop.price.invalidate(shop, "book"), bool)


async def use_on_a_loop(shop: Shop) -> None:
    """What tasks get."""
    assert_type(await local_info(None, "Lisbon"), list[str])
    assert_type(await local_info.refresh(None, "Lisbon"), list[str])
    assert_type(await local_info.invalidate(None, "Lisbon"), bool)
    assert_type(local_info.cache_key(None, "Lisbon"), Key)
    assert_type(await shop.stock("book"), int)


def values() -> None:
    """Values of one's own."""
    sessions = get_cache("sessions")
    assert_type(sessions, Values)
    assert_type(sessions.get("ana"), object)
    assert_type(sessions.set("ana", 1, ttl=5), bool)
    assert_type(sessions.get_metrics(), dict[str, float])


# What must not pass; mypy strict reports an ignore that is not needed.
def refused(shop: Shop) -> None:
    """Wrong arguments are seen."""
    forecast(5)  # type: ignore[arg-type]
    forecast("Lisbon", day=5)  # type: ignore[call-arg]
    forecast.invalidate()  # type: ignore[call-arg]
    forecast.refresh("Lisbon", "3")  # type: ignore[arg-type]
    shop.price(5)  # type: ignore[arg-type]
    cached_json("forecast", ttl="60")  # type: ignore[arg-type]
    cached_json("forecast", ignore="service")  # type: ignore[arg-type]
