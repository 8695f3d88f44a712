"""Cached async functions: they run on their caller's loop, and no wait takes a thread."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.attempt import current_attempt
from askonce.functions import FunctionCache
from tests.deadlines import eventually, stretched
from tests.unit.trends import Away, Trends, run, until
from tests.unit.weather import counted


@pytest.fixture
def store(clock):
    return MemoryStore(clock)


@pytest.fixture
def trends(store):
    return Trends(store)


def test_async_function_is_called_once_while_its_answer_is_fresh(trends, clock):
    ask = trends.cached(ttl=60)

    async def main():
        answers = [await ask("ship"), await ask("ship", 7), await ask(word="ship")]
        clock.advance(60)
        return [*answers, await ask("ship")]

    assert [{"word": "ship", "days": 7}] * 4 == run(main())
    assert ["ship", "ship"] == trends.calls


def test_tasks_at_once_share_one_call_and_one_look(trends):
    ask = trends.cached()

    async def main():
        return await asyncio.gather(*(ask("ship") for _ in range(200)))

    answers = run(main())

    assert [{"word": "ship", "days": 7}] * 200 == answers
    assert 200 == len({id(answer) for answer in answers})
    assert ["ship"] == trends.calls
    assert counted(trends.store, "attached") < 100


def test_sync_and_async_callers_share_an_answer(trends):
    async def main():
        return await trends.cached()("ship")

    run(main())
    fn = trends.caches[1].cached_json("trends")(lambda word, days=7: pytest.fail("was called"))

    assert {"word": "ship", "days": 7} == fn("ship")


def test_function_runs_on_the_loop_of_its_caller(trends):
    ask = trends.cached()

    async def main():
        await ask("ship")
        return [asyncio.get_running_loop()] == trends.loops

    assert run(main())


def test_error_is_the_callers_own(trends):
    ask, error = trends.cached(), KeyError("word")
    # A task that looks after the end of the others' call makes one of its own.
    trends.errors = [error] * 5

    async def main():
        first = await asyncio.gather(*(ask("ship") for _ in range(5)), return_exceptions=True)
        trends.errors.clear()
        return first, await ask("ship")

    first, second = run(main())

    assert [error] * 5 == first
    assert (None, None) == (error.__cause__, error.__context__)
    assert {"word": "ship", "days": 7} == second


class Abort(BaseException):
    """No error of a function, but what ends it."""


@pytest.mark.parametrize("store_is_away", [False, True], ids=["store", "away"])
@pytest.mark.parametrize("error", [asyncio.CancelledError(), Abort()], ids=["cancelled", "abort"])
def test_function_that_ends_itself_is_called_once(store, error, store_is_away):
    trends = Trends(Away() if store_is_away else store, processes=1)
    ask = trends.cached()
    # A second call would succeed, and a third.
    trends.errors = [error]

    async def main():
        with pytest.raises(type(error)) as caught:
            await ask("ship")
        return caught.value

    assert run(main()) is error
    assert ["ship"] == trends.calls


def test_caller_that_is_cancelled_stops_no_call(trends):
    ask = trends.cached()

    async def main():
        trends.gate = asyncio.Event()
        first, other = asyncio.create_task(ask("ship")), asyncio.create_task(ask("ship"))
        await until(lambda: trends.calls)
        first.cancel()
        trends.gate.set()
        [end] = await asyncio.gather(other, return_exceptions=True)
        return end, first.cancelled(), await ask("ship")

    answer, is_cancelled, again = run(main())

    assert (answer, True, answer) == (again, is_cancelled, {"word": "ship", "days": 7})
    assert ["ship"] == trends.calls


def test_loop_that_ends_leaves_the_call_to_others(trends):
    ask = trends.cached()

    async def cut_short():
        trends.gate = asyncio.Event()
        task = asyncio.create_task(ask("ship"))
        await until(lambda: trends.calls)
        return task

    task = run(cut_short())
    trends.gate = None

    async def main():
        return await ask("ship")

    assert task.cancelled()
    assert {"word": "ship", "days": 7} == run(main())


def test_loop_that_ends_leaves_the_call_to_those_who_wait(trends):
    ask, calls = trends.caches[0].cached_json("slow"), []

    @ask
    async def slow():
        calls.append(1)
        if len(calls) == 1:
            await asyncio.sleep(stretched(60))
        return 1

    async def cut_short(pool):
        task = asyncio.create_task(slow())
        await until(lambda: calls)
        other = pool.submit(asyncio.run, slow())
        await until(lambda: counted(trends.store, "attached") == 1)
        return task, other

    with ThreadPoolExecutor(1) as pool:
        task, other = run(cut_short(pool))

        assert (None, True) == (other.exception(stretched(20)), task.cancelled())
    assert (1, 2) == (other.result(), len(calls))


@pytest.mark.parametrize("is_away", [False, True], ids=["store", "away"])
def test_loop_that_is_closed_with_a_call_under_way_holds_it_no_longer(is_away):
    cache, calls = FunctionCache(Away() if is_away else MemoryStore(), patience=0, lease=0.5), []

    @cache.cached_json("slow")
    async def slow():
        calls.append(1)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return 1

    async def abandon():
        tasks.append(asyncio.create_task(slow()))
        await until(lambda: calls)

    tasks, loop = [], asyncio.new_event_loop()
    loop.run_until_complete(abandon())
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(run, asyncio.wait_for(slow(), stretched(4)))
        loop.close()

        assert waits.exception(stretched(60)) is None
        assert 1 == waits.result()
    assert 2 == len(calls)


def test_lease_that_is_given_to_a_cancelled_task_is_not_held(trends):
    starting, go, start = threading.Event(), threading.Event(), trends.store.start

    def slow_start(*args, **named):
        starting.set()
        assert go.wait(stretched(20))
        return start(*args, **named)

    trends.store.start = slow_start

    async def cut_short():
        task = asyncio.create_task(trends.cached()("ship"))
        await until(starting.is_set)
        return task

    run(cut_short())
    go.set()
    process = trends.caches[0].process()

    process._verbs.shutdown(wait=True)
    assert not process.executor.leases._held
    assert not trends.calls


def test_run_of_another_process_is_waited_for_without_a_thread_of_each_waiter(trends):
    here, there = trends.cached(0), trends.cached(1)
    # The pool of round trips, the renewal of leases, and the one that waits for all.
    most = 16 + 16 + 4

    async def main():
        trends.gate = asyncio.Event()
        runs = [asyncio.create_task(here(f"word {number}")) for number in range(100)]
        await until(lambda: len(trends.calls) == 100)
        waits = [asyncio.create_task(there(f"word {number}")) for number in range(100)]
        await until(lambda: counted(trends.store, "attached") >= 100)
        threads = threading.active_count()
        trends.gate.set()
        return threads, await asyncio.gather(*runs) == await asyncio.gather(*waits)

    before = threading.active_count()
    threads, are_same = run(main())

    assert are_same
    assert 100 == len(trends.calls)
    assert threads - before <= most


def test_functions_that_call_each_other_need_no_free_thread(store):
    cache = FunctionCache(store)

    @cache.cached_json("inner")
    async def inner(number):
        await asyncio.sleep(0)
        return number

    @cache.cached_json("outer")
    async def outer(number):
        return await inner(number) + await inner(number % 3)

    async def main():
        return await asyncio.gather(*(outer(number) for number in range(100)))

    assert [number + number % 3 for number in range(100)] == run(main())


def test_callers_on_two_loops_share_one_call(trends):
    entered, release = threading.Event(), threading.Event()

    async def slow():
        entered.set()
        await asyncio.to_thread(release.wait, stretched(20))
        return 1

    shared = trends.caches[0].cached_json("slow")(slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(asyncio.run, shared())
        assert entered.wait(stretched(20))
        other = pool.submit(asyncio.run, shared())
        eventually(lambda: counted(trends.store, "attached") == 1)
        release.set()

        assert (1, 1) == (first.result(stretched(20)), other.result(stretched(20)))


def test_stale_answer_is_served_at_once_while_one_task_makes_it_anew(trends, clock):
    ask = trends.cached(ttl=60, stale_while_revalidate=600)

    async def main():
        await ask("ship")
        clock.advance(100)
        trends.gate = asyncio.Event()
        stale = await asyncio.gather(*(ask("ship") for _ in range(10)))
        source = ask.last().source if ask.last() else None
        trends.gate.set()
        await until(lambda: counted(trends.store, "done") == 2)
        await ask("ship")
        return stale, source, ask.last().source

    stale, _, source = run(main())

    assert [{"word": "ship", "days": 7}] * 10 == stale
    assert "cache" == source
    assert ["ship", "ship"] == trends.calls


def test_task_that_waits_for_a_run_that_was_invalidated_under_way_asks_again(trends):
    data = ["old"]

    @trends.caches[0].cached_json("data")
    async def read():
        seen = data[-1]
        trends.calls.append(seen)
        if seen == "old":
            await asyncio.wait_for(trends.gate.wait(), stretched(20))
        return seen

    async def main():
        trends.gate = asyncio.Event()
        first = asyncio.create_task(read())
        await until(lambda: trends.calls)
        waiting = asyncio.create_task(read())
        await until(lambda: counted(trends.store, "attached"))
        data.append("new")
        await read.invalidate()
        trends.gate.set()
        return await first, await waiting

    assert ("old", "new") == run(main())
    assert ["old", "new"] == trends.calls


def test_refresh_and_invalidate_are_awaited(trends):
    ask = trends.cached()

    async def main():
        await ask("ship")
        refreshed = await ask.refresh("ship")
        return refreshed, await ask.invalidate("ship"), await ask.invalidate("boat"), await ask("ship")

    answer = {"word": "ship", "days": 7}
    assert (answer, True, False, answer) == run(main())
    assert 3 == len(trends.calls)


def test_function_knows_its_attempt(store):
    cache = FunctionCache(store)

    @cache.cached_json("attempts")
    async def attempt():
        await asyncio.sleep(0)
        return [current_attempt().number, current_attempt().key]

    async def main():
        return await attempt()

    assert [1, attempt.cache_key()] == run(main())
