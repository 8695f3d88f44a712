"""An async function on one or several caches."""

import asyncio

from askonce.adapters.memory import MemoryStore
from askonce.errors import StoreUnavailable
from askonce.functions import FunctionCache
from tests.deadlines import eventually, stretched


class Away(MemoryStore):
    """A store that does not answer."""

    def hit(self, _job, _meanwhile=0.0):
        raise StoreUnavailable(verb="hit", reason="ConnectionError")

    def admit(self, _claim):
        raise StoreUnavailable(verb="admit", reason="ConnectionError")


class Trends:
    """An async function that notes its calls, and one cache for each process."""

    def __init__(self, store, processes=2):
        self.store, self.calls, self.loops, self.errors = store, [], [], []
        self.caches = [FunctionCache(store, patience=0) for _ in range(processes)]
        self.gate = None

    def cached(self, process=0, **options):
        async def trends(word, days=7):
            self.calls.append(word)
            self.loops.append(asyncio.get_running_loop())
            if self.gate is not None:
                await asyncio.wait_for(self.gate.wait(), stretched(20))
            if self.errors:
                raise self.errors.pop(0)
            return {"word": word, "days": days}

        return self.caches[process].cached_json("trends", **options)(trends)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, stretched(30)))


async def until(condition):
    """Wait in a thread, so that the loop goes on."""
    await asyncio.to_thread(eventually, condition)
