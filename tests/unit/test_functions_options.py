"""For how long answers of functions are kept, and what a cache is configured with."""

import math

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.functions import KINDS, FunctionCache


@pytest.fixture
def cache(clock):
    return FunctionCache(MemoryStore(clock))


@pytest.mark.parametrize(
    ("namespace", "seconds"),
    [
        ("keywords", 86_400),
        ("metrics", 43_200),
        ("trends", 21_600),
        ("local-info", 86_400),
        ("local_info", 86_400),
        ("forecast", 1_800),
        ("forecast.daily", 1_800),
        ("rankings:google", 10),
        ("anything", 3_600),
    ],
)
def test_time_follows_from_the_namespace(cache, clock, namespace, seconds):
    calls = []
    ask = cache.cached_json(namespace)(lambda: calls.append(1))
    # Neither the jitter nor the time that the call takes shortens the answer's time.
    for name, exact in (("draw", lambda least, _most: least), ("clock", lambda: 0.0)):
        object.__setattr__(cache.process().executor, name, exact)

    ask()
    clock.advance(seconds - 0.001)
    ask()
    assert 1 == len(calls)
    clock.advance(0.001)
    ask()

    assert 2 == len(calls)


def test_times_of_kinds_may_be_configured(clock):
    cache = FunctionCache(MemoryStore(clock), ttl={"forecast": 5})
    calls = []
    ask = cache.cached_json("forecast")(lambda: calls.append(1))
    ask()
    clock.advance(5)

    ask()

    assert 2 == len(calls)
    assert 1_800 == KINDS["forecast"]


@pytest.mark.parametrize("ttl", [{"weather": 5}, {"forecast": 0}, {"forecast": math.nan}], ids=repr)
def test_kind_that_cannot_work_is_refused_by_name(ttl):
    with pytest.raises(ValueError, match=next(iter(ttl))):
        FunctionCache(MemoryStore(), ttl=ttl)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tll": {}}, "option 'tll' is unknown; there are ttl, listen"),
        ({"lease": -1}, "lease must be 0.001 to 3600 seconds, not -1"),
        ({"patience": math.nan}, "patience must be 0 to 315360000 seconds, not nan"),
        ({"patience": True}, "patience must be"),
        ({"lease": "30"}, "lease must be 0.001 to 3600 seconds, not '30'"),
        ({"ttl": {"forecast": "600"}}, "ttl of forecast must be 0.001 to 315360000 seconds, not '600'"),
        ({"ttl": {"forecast": None}}, "ttl of forecast must be"),
        ({"ttl": None}, 'ttl must be the seconds of each kind, such as {"forecast": 600}, not None'),
        ({"ttl": 600}, "ttl must be the seconds of each kind"),
        ({"codec": "zstd"}, "codec must be a Codec, not 'zstd'"),
        ({"local_cache": None}, "local_cache must be a function that returns a LocalCache, not None"),
        ({"listen": "log"}, "listen must be a function, not 'log'"),
    ],
    ids=str,
)
def test_option_of_a_cache_that_cannot_work_is_refused_by_name(options, said):
    with pytest.raises(ValueError, match=said):
        FunctionCache(**options)
    with pytest.raises(ValueError, match=said):
        FunctionCache().configure(MemoryStore(), **options)


@pytest.mark.parametrize("store", ["redis://:secret@127.0.0.1:6379/0", 6379, {}], ids=str)
def test_what_is_no_store_is_refused_at_once_without_its_text(store):
    said = r"store must be a store, .*, or a function that returns one, not (str|int|dict)$"

    with pytest.raises(ValueError, match=said):
        FunctionCache(store)
    with pytest.raises(ValueError, match=said):
        FunctionCache().configure(store)


def test_options_without_a_store_are_kept():
    cache = FunctionCache(ttl={"forecast": 5}, lease=7)
    cache.configure(MemoryStore(), lease=9)

    assert (5, 9) == (cache._terms.kinds["forecast"], cache._terms.lease)


def test_time_of_a_kind_beyond_keep_is_refused_at_the_first_call(cache):
    ask = cache.cached_json("keywords", keep=60)(lambda: 1)

    with pytest.raises(ValueError, match=r"lambda>: keep must not be shorter than ttl, which is 86400 s"):
        ask()


def test_function_without_a_store_says_what_to_do():
    ask = FunctionCache().cached_json("forecast")(lambda: 1)

    with pytest.raises(RuntimeError, match=r"call askonce\.functions\.configure"):
        ask()


def test_store_may_be_configured_after_the_functions(clock):
    cache = FunctionCache()
    ask = cache.cached_json("forecast")(lambda: 1)

    cache.configure(lambda: MemoryStore(clock))

    assert 1 == ask()
