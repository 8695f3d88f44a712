"""What an async function does while the store is away."""

import asyncio

from tests.unit.trends import Away, Trends, run


def test_async_function_runs_without_the_store_on_its_loop():
    trends = Trends(Away(), processes=1)
    ask = trends.cached()

    async def main():
        answers = await asyncio.gather(*(ask("ship") for _ in range(20)))
        return answers, trends.loops == [asyncio.get_running_loop()], await ask("ship")

    answers, is_own_loop, again = run(main())

    assert [{"word": "ship", "days": 7}] * 20 == answers
    assert is_own_loop
    assert (again, ["ship"]) == (answers[0], trends.calls)


def test_error_without_the_store_is_the_callers_own():
    trends = Trends(Away(), processes=1)
    ask, error = trends.cached(), KeyError("word")
    # One for each: a late task may find that the other's call has ended.
    trends.errors = [error, error]

    async def main():
        return await asyncio.gather(ask("ship"), ask("ship"), return_exceptions=True)

    assert [error, error] == run(main())
    assert error.__context__ is None
