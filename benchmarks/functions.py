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
from benchmarks.measure import percentile

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
    _herds(table, cache, rounds)
    _stale(table, cache, rounds)


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


def _herds(table: Table, cache: FunctionCache, rounds: int) -> None:
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

    region = _dogpile("bench.herd")
    threads, tasks = cache.cached_json("herd.threads")(slow), cache.cached_json("herd.tasks")(slow_on_loop)
    their_threads = region.cache_on_arguments()(slow)
    contestants: dict[str, Callable[[str], float]] = {
        "threads, ours": lambda city: _threads(threads, city)[0],
        "threads, dogpile.cache": lambda city: _threads(their_threads, city)[0],
        "tasks, ours": lambda city: asyncio.run(_tasks(tasks, city)),
        "tasks, cashews with its lock": lambda city: asyncio.run(_cashews(slow_on_loop, city)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    made: dict[str, int] = dict.fromkeys(contestants, 0)
    # The first round connects.
    for number in range(rounds + 1):
        for name, contest in contestants.items():
            calls.clear()
            took = contest(f"City {number}")
            if number:
                seconds[name].append(took)
                made[name] += len(calls)
    for name, each in seconds.items():
        goal = {"goal": f"{rounds} calls", "met": made[name] == rounds} if "ours" in name else {}
        table.line(name, f"{median(each) * 1000:,.0f} ms", f"{made[name]} calls", **goal)  # type: ignore[arg-type]
    ours, dogpile, on_loop, cashews = seconds.values()
    table.at_most("threads, ours beside dogpile.cache", _beside(ours, dogpile), 1.0)
    table.at_most("tasks, ours beside cashews", _beside(on_loop, cashews), 1.0)


def _beside(ours: list[float], theirs: list[float]) -> float:
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def _stale(table: Table, cache: FunctionCache, rounds: int) -> None:
    """Measure what the readers of a stale answer wait, beside the same readers of a fresh one."""
    calls: list[str] = []

    def slow(city: str) -> dict[str, str]:
        calls.append(city)
        time.sleep(_CALL)  # noqa: TID251  # stands in for the call
        return VALUE

    fresh = cache.cached_json("herd.fresh", ttl=600)(slow)
    stale = cache.cached_json("herd.stale", ttl=_CALL, stale_while_revalidate=600)(slow)
    ratios, slowest = [], []
    for number in range(rounds + 1):
        city = f"City {number}"
        for ask in (fresh, stale):
            ask(city)
        time.sleep(_CALL)  # noqa: TID251  # until it is stale
        calls.clear()
        plain, served = (percentile(_threads(ask, city)[1], 99) for ask in (fresh, stale))
        if len(calls) != 1:
            raise RuntimeError(f"{len(calls)} calls at the expiry of one key")
        if number:
            ratios.append(served / plain)
            slowest.append(served)
    table.title(f"{READERS} threads that read one key at once: stale, and made anew by one call of {_CALL} s")
    table.at_most(
        "p99 of all, beside a fresh answer's", median(ratios), 3.0, f"{median(slowest) * 1000:.0f} ms"
    )


def _threads(ask: Any, city: str) -> tuple[float, list[float]]:  # of two libraries
    """Return the seconds in all, and those of each reader."""
    barrier = Barrier(READERS)

    def read(_number: int) -> float:
        barrier.wait()
        began = time.perf_counter()
        ask(city)
        return time.perf_counter() - began

    with ThreadPoolExecutor(READERS) as pool:
        began = time.perf_counter()
        each = list(pool.map(read, range(READERS)))
        return time.perf_counter() - began, each


async def _cashews(slow: Any, city: str) -> float:  # cashews leaves it untyped
    rival = Cache()
    rival.setup(URL)
    # It connects, as ours did before.
    await rival.get("bench:nothing")
    seconds = await _tasks(rival(ttl="10m", key="bench:herd:{city}", lock=True)(slow), city)
    await rival.close()
    return seconds


async def _tasks(ask: Any, city: str) -> float:  # of two libraries
    began = time.perf_counter()
    await asyncio.gather(*(ask(city) for _ in range(READERS)))
    return time.perf_counter() - began


def _ratio(figures: dict[str, list[float]], name: str) -> float:
    return median(a / b for a, b in zip(figures[name], figures["get"], strict=True))


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us"
