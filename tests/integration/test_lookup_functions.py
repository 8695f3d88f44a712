"""The cached functions of the project, against the stand-in: sync and async, as a web request calls them."""

import asyncio
import os

import pytest
from redis import Redis

from askonce.functions import cached_json
from sandbox.outside.ledger import read
from settings.environment import Settings
from tasks.lookups import functions
from tasks.providers.http import HttpLookup

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(stand_in, tcp_server, monkeypatch):
    for name in os.environ:
        if name.startswith(("REDIS_", "CACHE_", "CUSTOMER_")):
            monkeypatch.delenv(name)
    with Redis.from_url(tcp_server.url) as client:
        client.flushall()
    return Settings(
        _env_file=None,
        redis_url=tcp_server.url,
        customer_api_url=str(stand_in.http.base_url),
        cache_ttl_forecast=600,
        cache_ttl_local_info=3600,
    )


@pytest.fixture
def service(settings):
    functions.use(settings)
    service = HttpLookup(settings)
    yield service
    service._client.close()
    cache = cached_json.__self__
    store = cache.process().store
    cache.close()
    store.close()


def test_functions_are_called_once_for_equal_arguments(service, stand_in):
    answers = [functions.forecast(service, "Lisbon", days) for days in (3, 3, 5)]
    places = [functions.local_info(service, "Lisbon"), functions.local_info(None, "Lisbon")]

    assert answers[0] == answers[1] != answers[2]
    assert places[0] == places[1]
    assert 3 == read(stand_in.ledger).lookups.answered


def test_async_functions_are_called_once_by_many_tasks(service, stand_in):
    async def main():
        words = await asyncio.gather(*(functions.keywords(service, "ship") for _ in range(50)))
        ranks = await asyncio.gather(*(functions.rankings(service, "ship") for _ in range(50)))
        return words, ranks

    words, ranks = asyncio.run(main())

    assert [words[0]] * 50 == words
    assert [ranks[0]] * 50 == ranks
    assert 2 == read(stand_in.ledger).lookups.answered
    assert 0 == read(stand_in.ledger).lookups.surplus


def test_time_of_an_answer_is_that_of_its_variable(service):
    functions.forecast(service, "Lisbon")
    functions.local_info(service, "Lisbon")

    specs = [functions.forecast, functions.local_info]
    assert [600, 3600] == [fresh_for(each) for each in specs]


def fresh_for(function):
    last = function.last()
    # Up to a tenth is taken off, so that answers do not go stale together.
    return next(ttl for ttl in (600, 3600) if 0.9 * ttl <= last.fresh_for <= ttl)
