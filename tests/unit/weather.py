"""A cached function that notes its calls; a second FunctionCache on the store stands for another process."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

from askonce.functions import FunctionCache
from tests.deadlines import stretched


class Weather:
    """A function that notes its calls, and one cache for each process."""

    def __init__(self, store, processes=1):
        self.store, self.calls, self.heard, self.errors = store, [], [], []
        self.gate = Event()
        self.gate.set()
        self.caches = [FunctionCache(store, listen=self.heard.append, patience=0) for _ in range(processes)]

    def forecast(self, city, days=3):
        self.calls.append((city, days))
        assert self.gate.wait(stretched(20))
        if self.errors:
            raise self.errors.pop(0)
        return {"city": city, "days": [days]}

    def cached(self, process=0, namespace="forecast", **options):
        return self.caches[process].cached_json(namespace, **options)(self.forecast_)

    @property
    def forecast_(self):
        def forecast(city, days=3):
            return self.forecast(city, days)

        return forecast

    def names(self):
        return [event.name for event in self.heard]


def at_once(function, count):
    """Call *function* in many threads at the same moment; return what each returned or raised."""
    barrier = Barrier(count)

    def one(number):
        barrier.wait(stretched(20))
        try:
            return function(number)
        except Exception as error:  # noqa: BLE001  # the test looks at it
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def attached(store):
    return sum(number for counter, number in store.tally.totals().items() if counter.what == "attached")


def counted(store, what):
    return sum(number for counter, number in store.tally.totals().items() if counter.what == what)
