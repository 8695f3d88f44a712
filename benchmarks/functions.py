"""Functions: a cached function's hit beside a bare GET and other caches, and many readers at the expiry."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from threading import Barrier
from typing import TYPE_CHECKING, Any

import orjson
import redis
from cashews import Cache
from dogpile.cache import make_region

from askonce.adapters.redis import RedisStore
from askonce.functions import FunctionCache
from benchmarks.apps import URL, VALUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Table

ROUNDS = 7
CALLS = 1000
READERS = 200
#: Seconds of the call that the readers wait for.
_CALL = 0.2


def run(table: Table, *, rounds: int = ROUNDS) -> None:
    """Measure hits in turn, then the readers of one key whose answer has expired."""
    client = redis.Redis.from_url(URL)
    client.set("bench:get", orjson.dumps(VALUE))
    cache = FunctionCache(RedisStore.from_url(URL, namespace="bench.functions"))
    _hits(table, client, cache, rounds)
    _herds(table, cache)


def _hits(table: Table, client: redis.Redis, cache: FunctionCache, rounds: int) -> None:
    kept = cache.cached_json("forecast")(_answer)
    recent = cache.cached_json("metrics", local_ttl=3600)(_answer)
    region = _dogpile("bench.hit")
    rival = region.cache_on_arguments()(_answer)
    contestants: dict[str, Callable[[], object]] = {
        "get": lambda: orjson.loads(client.get("bench:get")),  # type: ignore[arg-type]  # redis-py: also awaitable
        "ours": lambda: kept("Lisbon"),
        "recent": lambda: recent("Lisbon"),
        "dogpile": lambda: rival("Lisbon"),
    }
    for call in contestants.values():
        call()
    # The process listens for invalidations first, and begins to keep answers then.
    while recent.last() is None or cache.process().cache.epoch == 0:
        recent("Lisbon")
    figures = _interleaved(contestants, rounds)
    loops = [asyncio.run(_on_a_loop(cache)) for _ in range(rounds)]
    table.title("Hit of a cached function, 1 KB; ratio to a bare redis-py GET and loads")
    table.line("bare GET and loads, median", _us(median(figures["get"])), "x 1.00")
    table.at_most("from the store", _ratio(figures, "ours"), 1.5, _us(median(figures["ours"])))
    table.line("dogpile.cache", _us(median(figures["dogpile"])), f"x {_ratio(figures, 'dogpile'):.2f}")
    faster = 1 / _ratio(figures, "recent")
    table.at_least("from the process, times faster", faster, 8.0, _us(median(figures["recent"])))
    table.title("Hit of an async function; ratio to cashews")
    table.line("cashews, median", _us(median(theirs for _, theirs in loops)), "x 1.00")
    against = median(ours / theirs for ours, theirs in loops)
    table.at_most("from the store", against, 1.2, _us(median(ours for ours, _ in loops)))


def _answer(city: str) -> dict[str, str]:
    assert city
    return VALUE


def _dogpile(prefix: str) -> Any:  # dogpile leaves its regions untyped
    arguments = {
        "url": f"{URL}?max_connections=1000",
        "redis_expiration_time": 600,
        "distributed_lock": True,
        "thread_local_lock": False,
    }
    return make_region(key_mangler=f"{prefix}:{{}}".format).configure(
        "dogpile.cache.redis", expiration_time=600, arguments=arguments
    )


def _interleaved(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        taken: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(CALLS):
            for name, call in contestants.items():
                began = time.perf_counter()
                call()
                taken[name].append(time.perf_counter() - began)
        for name, each in taken.items():
            figures[name].append(median(each))
    return figures


async def _on_a_loop(cache: FunctionCache) -> tuple[float, float]:
    """Return the median latency of our hit, and of the hit of cashews, on one loop."""
    rival = Cache()
    rival.setup(URL)

    async def answer(city: str) -> dict[str, str]:
        return _answer(city)

    # Another function of one name: each round has a loop of its own.
    ours = _decorated(cache, answer)
    theirs = rival(ttl="10m", key="bench:cashews:{city}")(answer)
    taken: tuple[list[float], list[float]] = ([], [])
    for call in (ours, theirs):
        await call("Lisbon")
    for _ in range(CALLS):
        for call, into in ((ours, taken[0]), (theirs, taken[1])):
            began = time.perf_counter()
            await call("Lisbon")
            into.append(time.perf_counter() - began)
    await rival.close()
    return median(taken[0]), median(taken[1])


def _decorated(cache: FunctionCache, answer: Any) -> Any:  # of two libraries
    return cache.cached_json("trends")(answer)


def _herds(table: Table, cache: FunctionCache) -> None:
    table.title(f"{READERS} readers of one key at its expiry, a call of {_CALL} s")
    calls: list[str] = []

    def slow(city: str) -> dict[str, str]:
        calls.append(city)
        time.sleep(_CALL)  # noqa: TID251  # stands in for the call
        return VALUE

    async def slow_on_loop(city: str) -> dict[str, str]:
        calls.append(city)
        await asyncio.sleep(_CALL)
        return VALUE

    rival = Cache()
    rival.setup(URL)
    theirs = rival(ttl="10m", key="bench:herd:{city}", lock=True)(slow_on_loop)
    region = _dogpile("bench.herd")
    contestants: dict[str, Callable[[], float]] = {
        "threads, ours": lambda: _threads(cache.cached_json("herd.threads")(slow)),
        "threads, dogpile.cache": lambda: _threads(region.cache_on_arguments()(slow)),
        "tasks, ours": lambda: asyncio.run(_tasks(cache.cached_json("herd.tasks")(slow_on_loop))),
        "tasks, cashews with its lock": lambda: asyncio.run(_tasks(theirs)),
    }
    for name, contest in contestants.items():
        calls.clear()
        seconds = contest()
        goal = {"goal": "1 call", "met": len(calls) == 1} if "ours" in name else {}
        table.line(name, f"{seconds * 1000:,.0f} ms", f"{len(calls)} calls", **goal)  # type: ignore[arg-type]


def _threads(ask: Any) -> float:  # of two libraries
    barrier = Barrier(READERS)

    def read(_number: int) -> None:
        barrier.wait()
        ask("Lisbon")

    with ThreadPoolExecutor(READERS) as pool:
        began = time.perf_counter()
        list(pool.map(read, range(READERS)))
        return time.perf_counter() - began


async def _tasks(ask: Any) -> float:  # of two libraries
    began = time.perf_counter()
    await asyncio.gather(*(ask("Lisbon") for _ in range(READERS)))
    return time.perf_counter() - began


def _ratio(figures: dict[str, list[float]], name: str) -> float:
    return median(a / b for a, b in zip(figures[name], figures["get"], strict=True))


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us"
