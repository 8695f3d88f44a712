from hypothesis import given
from hypothesis import strategies as st

from askonce.adapters.redis.reply import Brought
from askonce.job import Routing
from askonce.options import HEADERS_MAX, NAME_MAX, name_of, routing_of

NAMES = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=NAME_MAX).filter(
    str.isprintable
)
LIMITS = st.none() | st.floats(0.001, 365 * 86_400.0)
HEADERS = st.dictionaries(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=20).filter(lambda name: name != "askonce"),
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=50),
    max_size=10,
)


def routed(queue, priority, limits, headers):
    time_limit, soft_time_limit = limits
    return routing_of(
        {
            "queue": queue,
            "priority": priority,
            "time_limit": time_limit,
            "soft_time_limit": soft_time_limit,
            "headers": headers,
        }
    )


PAIRS = st.tuples(LIMITS, LIMITS).filter(lambda pair: None in pair or pair[1] < pair[0])
ROUTINGS = st.builds(routed, NAMES, st.none() | st.integers(0, 255), PAIRS, HEADERS)


BROUGHT = st.builds(
    Brought,
    tenant=NAMES,
    model=NAMES,
    version=NAMES,
    routing=ROUTINGS,
    tags=st.lists(NAMES.filter(len), max_size=8).map(tuple),
    admitted_at=st.integers(0, 2**52),
)


@given(brought=BROUGHT)
def test_what_was_brought_is_read_as_it_was_written(brought):
    stores_own = f"3\n60000\n{brought.admitted_at}\n0\n"

    assert brought == Brought.decode((stores_own + brought.encode()).encode())


def test_field_that_brought_nothing_is_empty():
    assert Brought() == Brought.decode(b"")


def test_what_was_brought_has_a_bounded_size():
    longest = "\U0001f600" * NAME_MAX
    headers = {"a": "x" * (HEADERS_MAX - len('{"a":""}'))}
    routing = routed(name_of("queue", longest), 255, (365 * 86_400.0, 1e-3), headers)

    assert len(Brought(longest, longest, longest, routing).encode().encode()) < 8192


def test_routing_without_limits_has_none():
    assert Routing() == Brought.decode(b"3\n60000\n1\n0\n" + Brought().encode().encode()).routing
