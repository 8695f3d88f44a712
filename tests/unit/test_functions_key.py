"""Which calls of a function are the same, how long their answers are good, and what is refused by name."""

import math
from datetime import UTC, datetime
from typing import Annotated

import fastapi
import pytest

from askonce.adapters.memory import MemoryStore
from askonce.errors import PayloadInvalid
from askonce.functions import FunctionCache


@pytest.fixture
def cache(clock):
    return FunctionCache(MemoryStore(clock))


def keyed(cache, function, **options):
    return cache.cached_json("lookups", **options)(function).cache_key


def test_equal_calls_have_one_key_however_they_are_written(cache):
    key = keyed(cache, lambda city, days=3, *, unit="C": None)

    assert 1 == len({key("Lisbon"), key("Lisbon", 3), key(city="Lisbon", days=3), key("Lisbon", unit="C")})


@pytest.mark.parametrize(
    "others",
    [(1, True), (1, 1.0), (1, "1"), (None, "null"), ("", None), ([1, 2], [2, 1]), ({"a": 1}, {"a": "1"})],
    ids=repr,
)
def test_arguments_of_other_types_are_other_calls(cache, others):
    key = keyed(cache, lambda value: None)

    # Twice: the second time by what is known of the first.
    assert 2 == len({key(value) for value in others * 2} | {key(value) for value in others})


def test_arguments_of_one_meaning_are_one_call(cache):
    key = keyed(cache, lambda value: None)
    moment = datetime(2026, 3, 2, 9, tzinfo=UTC)

    assert key(moment) == key(moment.isoformat())
    assert key(0.0) == key(-0.0)
    assert key("caf\u00e9") == key("cafe\u0301")
    assert key((1, 2)) == key([1, 2])
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})


def test_number_of_arguments_counts(cache):
    key = keyed(cache, lambda *cities, **more: None)

    assert 4 == len({key("a"), key("a", "b"), key(["a", "b"]), key("a", b=1)})
    assert key("a", x=1, y=2) == key("a", y=2, x=1)


def test_ignored_arguments_make_no_other_key(cache):
    key = keyed(cache, lambda service, city, session=None: None, ignore=("service", "session"))

    assert key(object(), "Lisbon") == key(None, "Lisbon", session=object())
    assert key(None, "Lisbon") != key(None, "Porto")
    assert key("Lisbon", "Porto") != key("Porto", "Lisbon")


def test_named_arguments_of_other_values_are_other_calls(cache):
    key = keyed(cache, lambda city, days=3, hours=0: None)

    calls = [{}, {"days": 1}, {"days": 2}, {"hours": 1}, {"hours": 2}]
    assert len(calls) == len({key("Lisbon", **call) for call in calls * 2})


def test_named_arguments_count_beside_ignored_ones(cache):
    def search(service, *words, unit="C", **query):
        return query

    key = keyed(cache, search, ignore=("service",))

    calls = [{"q": "a"}, {"q": "b"}, {"q": "a", "page": 2}, {"unit": "a"}, {"unit": "F", "q": "a"}]
    # Twice: the second time by what may be known of the first.
    assert len(calls) == len({key(service=object(), **call) for call in calls * 2})
    assert key(None, "a", q=1) != key(None, q=1) != key("a", q=1, page=2)


def test_namespace_and_version_are_part_of_the_key(cache):
    def city(name):
        return name

    keys = [
        cache.cached_json(name, version=version)(city).cache_key("Lisbon")
        for name, version in [("one", "1"), ("two", "1"), ("three", "2")]
    ]

    assert 3 == len(set(keys))


def service():
    return None


DEPENDS, SECURITY = fastapi.Depends(service), fastapi.Security(service)


def test_what_fastapi_injects_makes_no_other_key(cache):
    def route(
        city,
        by_default=DEPENDS,
        secured=SECURITY,
        annotated: Annotated[object, fastapi.Depends(service)] = None,
    ):
        return city

    key = keyed(cache, route)

    assert key("Lisbon") == key("Lisbon", object(), object(), annotated=object())


def test_function_that_gets_what_fastapi_injects_is_called_once(cache):
    calls = []
    ask = cache.cached_json("lookups")(lambda city, client=DEPENDS: calls.append(city))

    assert ask.cache_key("Lisbon", "one client") == ask.cache_key("Lisbon", "another")


def test_fastapi_sees_the_function_that_is_wrapped(cache):
    calls = []
    app = fastapi.FastAPI()

    @app.get("/forecast")
    @cache.cached_json("forecast")
    async def forecast(city: str, client: Annotated[object, DEPENDS], days: int = 3):
        calls.append(city)
        return {"city": city, "days": days, "client": client}

    parameters = app.openapi()["paths"]["/forecast"]["get"]["parameters"]
    assert ["city", "days"] == [each["name"] for each in parameters]
    assert "forecast" == forecast.__name__


@pytest.mark.parametrize("value", [{1, 2}, b"x", math.nan, math.inf, 1j, 2**70, {1: 2}], ids=repr)
def test_argument_that_cannot_be_part_of_a_key_is_named(cache, value):
    def city(name, options=None):
        return name

    ask = cache.cached_json("lookups")(city)

    with pytest.raises(PayloadInvalid, match=r"field=options .*function=.*city"):
        ask("Lisbon", options=value)


def test_wrong_arguments_are_the_functions_own_error(cache):
    ask = cache.cached_json("lookups")(lambda city, days=3: None)
    ask("Lisbon")

    for args, kwargs in [((), {}), (("a", 1, 2), {}), (("Lisbon",), {"city": "x"}), (("a",), {"odd": 1})]:
        with pytest.raises(TypeError):
            ask(*args, **kwargs)


def test_method_needs_its_object_ignored(cache):
    with pytest.raises(ValueError, match=r"Shop.price: self cannot be part of a key; say ignore=\('self',\)"):

        class Shop:
            @cache.cached_json("prices")
            def price(self, item):
                return item


def test_method_is_called_on_its_object(cache):
    class Shop:
        def __init__(self, name):
            self.name = name

        @cache.cached_json("prices", ignore=("self",))
        def price(self, item):
            return [self.name, item]

    one, other = Shop("one"), Shop("other")

    assert [["one", "book"], ["one", "book"]] == [one.price("book"), other.price("book")]
    assert Shop.price.invalidate(one, "book")
    assert ["other", "book"] == other.price("book")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ttl": 0}, "ttl must be 0.001 to 315360000 seconds, not 0"),
        ({"ttl": -1}, "ttl must be"),
        ({"ttl": math.inf}, "ttl must be"),
        ({"ttl": math.nan}, "ttl must be"),
        ({"ttl": True}, "ttl must be"),
        ({"ttl": "60"}, "ttl must be"),
        ({"ttl": 60, "keep": 59}, "keep must not be shorter than ttl, which is 60 s"),
        ({"ttl": 60, "keep": math.inf}, "keep must be"),
        ({"ttl": 60, "keep": 90, "stale_if_error": 31}, "stale_if_error must end within keep, which is 90 s"),
        (
            {"ttl": 60, "keep": 90, "stale_while_revalidate": 31},
            "stale_while_revalidate must end within keep",
        ),
        ({"stale_if_error": -1}, "stale_if_error must be 0 to"),
        ({"stale_while_revalidate": math.nan}, "stale_while_revalidate must be 0 to"),
        ({"local_ttl": math.inf}, "local_ttl must be 0 to"),
        ({"ignore": ("nothing",)}, "ignore names 'nothing', which is no parameter"),
    ],
    ids=str,
)
def test_option_that_cannot_work_is_one_line_with_function_and_argument(cache, options, said):
    def city(name):
        return name

    with pytest.raises(ValueError, match=said) as caught:
        cache.cached_json("lookups", **options)(city)

    assert "city" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("namespace", ["", "two\nlines", 5, "x" * 101], ids=repr)
def test_namespace_is_one_line(cache, namespace):
    with pytest.raises(ValueError, match="namespace must be one printable line"):
        cache.cached_json(namespace)
    with pytest.raises(ValueError, match="namespace must be one printable line"):
        cache.get_cache(namespace)


def test_ignore_is_a_tuple(cache):
    with pytest.raises(ValueError, match="ignore must be a tuple of names"):
        cache.cached_json("lookups", ignore="service")


@pytest.mark.parametrize("version", [2, "", None], ids=repr)
def test_version_is_text(cache, version):
    with pytest.raises(ValueError, match=r"cached_json\('lookups'\): version must be text"):
        cache.cached_json("lookups", version=version)


def test_generator_is_refused(cache):
    def rows():
        yield 1

    with pytest.raises(ValueError, match="rows: a generator cannot be cached"):
        cache.cached_json("rows")(rows)


def test_two_functions_of_one_namespace_are_refused(cache):
    def one(city):
        return city

    def other(city):
        return city

    cache.cached_json("forecast")(one)

    with pytest.raises(ValueError, match=r"other: .*one has the namespace 'forecast'; each function needs"):
        cache.cached_json("forecast")(other)


def made(around):
    def get(path):
        return [around, path]

    return get


def named(module):
    space = {"__name__": module}
    exec("def fetch(page):\n    return __name__", space)  # code that is no file
    return space["fetch"]


@pytest.mark.parametrize(
    ("one", "other"),
    [(lambda x: 1, lambda x: 2), (made("http://a"), made("http://b")), (named("one"), named("two"))],
    ids=["lambdas", "of a factory", "of no file"],
)
def test_functions_of_one_name_are_two_all_the_same(cache, one, other):
    cache.cached_json("lookups")(one)

    with pytest.raises(ValueError, match="has the namespace 'lookups'; each function needs its own"):
        cache.cached_json("lookups")(other)


def test_function_that_is_defined_again_around_the_same_keeps_its_namespace(cache):
    around = ["shared"]
    for _ in range(2):
        assert [["shared"], "x"] == cache.cached_json("lookups")(made(around))("x")


def test_function_whose_module_is_imported_again_keeps_its_namespace(cache):
    code = "def city(name):\n    return name\n"
    for name in ("shop", "shop", "__main__"):
        module = {"__name__": name}
        exec(compile(code, "/srv/shop.py", "exec"), module)  # what an import does
        assert "Lisbon" == cache.cached_json("cities")(module["city"])("Lisbon")
