import asyncio
import re
from pathlib import Path

import pytest

from askonce import functions
from askonce.adapters.redis import RedisStore
from askonce.functions import FunctionCache

pytestmark = pytest.mark.integration

PAGE = (Path(__file__).parents[2] / "docs/functions.md").read_text()
MODULE, VALUES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


class Service:
    """What the page's async function fetches from."""

    def __init__(self):
        self.calls = []

    async def fetch(self, place):
        self.calls.append(place)
        return {"place": place}


@pytest.fixture
def page(tcp_server, monkeypatch):
    """What the page's module defines, on a server of ours."""
    stores = []

    def from_url(_url, *, namespace):
        stores.append(connect(tcp_server.url, namespace=namespace))
        return stores[-1]

    connect, cache = RedisStore.from_url, FunctionCache()
    monkeypatch.setattr(RedisStore, "from_url", from_url)
    # The process's own has functions of these namespaces already.
    for name in ("cached_json", "configure", "get_cache"):
        monkeypatch.setattr(functions, name, getattr(cache, name))
    defined = {"__name__": "weather"}
    exec(MODULE, defined)  # our own page
    yield defined
    cache.close()
    for store in stores:
        store.close()


def test_functions_of_the_page_are_called_once(page):
    service = Service()

    async def main():
        return await asyncio.gather(*(page["local_info"](service, "Lisbon") for _ in range(5)))

    assert [{"place": "Lisbon"}] * 5 == asyncio.run(main())
    assert ["Lisbon"] == service.calls
    answers = [page["forecast"]("Lisbon"), page["forecast"]("Lisbon", 3), page["forecast"](city="Lisbon")]
    assert [{"city": "Lisbon", "days": 3, "degrees": 21}] * 3 == answers
    assert page["forecast"].invalidate("Lisbon")


def test_values_of_the_page_are_kept(page):
    lines = VALUES.splitlines()
    found = []
    for line in lines:
        exec(line, page) if " = " in line else found.append(eval(line, page))  # our own page

    kept, value, deleted, metrics, health = found
    assert (True, {"cart": [1, 2]}, True) == (kept, value, deleted)
    assert {"hits", "misses", "sets", "deletes", "errors", "total_requests", "hit_rate"} == metrics.keys()
    assert ("healthy", "redis") == (health["status"], health["backend"])
