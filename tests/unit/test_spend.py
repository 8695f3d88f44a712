from collections.abc import Mapping
from decimal import Decimal, localcontext
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import Transient
from askonce.spend import NOTHING, Checked, Spend, check, costs, of_fields, spend_of_failure, to_fields, total

MOST = 2**53 - 1


class Count(StrEnum):
    INPUT = "input_tokens"


class Whole:
    """A whole number of another library."""

    def __index__(self):
        return 7


class Broken(Mapping):
    """A mapping that raises."""

    def __getitem__(self, name):
        raise RuntimeError("text of a payload")

    def __len__(self):
        return 1

    def __iter__(self):
        return iter(["n"])


class BrokenNumber:
    def __index__(self):
        raise RuntimeError("text of a payload")


@pytest.mark.parametrize("count", [0, 1, MOST, Whole()], ids=range(4))
def test_whole_number_is_a_count(count):
    assert check({"n": count}, None) == Checked(Spend(usage={"n": count.__index__()}))


@pytest.mark.parametrize(
    "count", [-1, MOST + 1, 2**70, 1.0, True, "7", None, {"a": 1}, object(), BrokenNumber()], ids=range(10)
)
def test_count_that_is_no_whole_number_is_unknown_by_name(count):
    assert check({"n": count, "m": 2}, None) == Checked(Spend(usage={"m": 2}), ("usage.n",))


@pytest.mark.parametrize(
    "usage", [[1], "text", 7, object(), Broken()], ids=lambda usage: type(usage).__name__
)
def test_usage_that_holds_no_counts_is_unknown(usage):
    assert check(usage, None) == Checked(Spend(), ("usage",))


@pytest.mark.parametrize("name", [5, None, "\ud800", "x" * 101, ("a",)], ids=ascii)
def test_count_without_a_usable_name_is_unknown(name):
    assert check({name: 1, "m": 2}, None) == Checked(Spend(usage={"m": 2}), ("usage",))


def test_name_that_may_be_data_is_not_shown():
    assert check({"ana@example.org": -1, "ok_name": -1}, None).unknown == ("usage", "usage.ok_name")


def test_name_of_a_subclass_of_text_is_kept_as_text():
    [name] = check({Count.INPUT: 1}, None).spend.usage

    assert (type(name), name) == (str, "input_tokens")


def test_number_of_counts_is_bounded():
    spend, unknown = check({f"n{number}": number for number in range(150)}, None)

    assert len(spend.usage) == 100
    assert len(unknown) == 50


@pytest.mark.parametrize(
    ("cost", "kept"), [(0, 0.0), (-0.0, 0.0), (2, 2.0), (0.25, 0.25), (Decimal("0.01"), 0.01)], ids=repr
)
def test_number_of_zero_or_more_is_a_cost(cost, kept):
    spend, unknown = check(None, cost)

    assert (repr(spend.cost_usd), unknown) == (repr(kept), ())


NO_DOLLARS = [-0.01, -1, float("nan"), float("inf"), 10**400, 1e300, True, "0.5", [1], object()]
NO_DOLLARS += map(Decimal, ["NaN", "sNaN", "-Infinity", "1e999999", "-0.1"])


@pytest.mark.parametrize("cost", NO_DOLLARS, ids=range(15))
def test_cost_that_is_no_number_of_dollars_is_unknown(cost):
    assert check({"n": 1}, cost) == Checked(Spend(usage={"n": 1}), ("cost_usd",))


def test_absent_spend_is_unknown_without_a_word():
    assert check(None, None) == Checked(Spend())


@pytest.mark.parametrize(
    ("cost", "micros"),
    [
        (None, None),
        (0, 0),
        (0.1, 100_000),
        (0.29, 290_000),
        (1.1, 1_100_000),
        (Decimal("0.0000014"), 1),
        (Decimal("0.0000016"), 2),
        (Decimal("123456789.123456"), 123_456_789_123_456),
        (float("nan"), None),
        (-1.0, None),
        (1e10, None),
        ("1", None),
        (True, None),
    ],
    ids=repr,
)
def test_cost_is_whole_millionths_of_a_dollar(cost, micros):
    assert Spend(cost_usd=cost).micro_usd == micros


def test_callers_decimal_context_does_not_round_the_cost():
    with localcontext(prec=2):
        assert Spend(cost_usd=0.123456).micro_usd == 123_456
        assert check(None, Decimal("0.123456")).spend.cost_usd == 0.123456


@given(st.integers(0, 10**12))
def test_cost_of_whole_micros_comes_back(micros):
    assert check(None, Decimal(micros) / 1_000_000).spend.micro_usd == micros


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


@given(anything, anything)
def test_whatever_a_body_brings_is_checked_without_an_error(usage, cost):
    spend, _ = check(usage, cost)

    assert all(type(name) is str and 0 <= count <= MOST for name, count in spend.usage.items())
    assert spend.cost_usd is None or 0 <= spend.micro_usd <= MOST


def test_spend_shows_what_is_known_of_it():
    assert Spend().known == {}
    assert Spend(cost_usd=0.0).known == {"cost_usd": 0.0}
    assert NOTHING.known == {}
    assert Spend(usage={"n": 1}, cost_usd=0.5, maybe_billed=True).known == {
        "usage": {"n": 1},
        "cost_usd": 0.5,
        "maybe_billed": True,
    }


def test_spend_of_a_failure_is_checked_too():
    failure = Transient("http_503", usage={"n": 1, "m": -1}, cost_usd=Decimal("0.5"), maybe_billed=True)

    assert spend_of_failure(failure) == Checked(
        Spend(usage={"n": 1}, cost_usd=0.5, maybe_billed=True), ("usage.m",)
    )


@pytest.mark.parametrize(
    ("data", "calls", "in_doubt"),
    [
        ({}, 0, 0),
        ({"maybe_billed": True}, 0, 1),
        ({"usage": {}, "maybe_billed": True}, 1, 0),
        ({"cost_usd": 0.5}, 1, 0),
        ({"usage": {"n": 1}, "calls": 3, "in_doubt": 1}, 3, 1),
        ({"calls": 2**60, "in_doubt": -1}, 1, 0),
    ],
    ids=["refused", "no reply", "reply without counts", "price", "several", "no numbers"],
)
def test_failure_is_a_call_where_the_provider_replied(data, calls, in_doubt):
    spend, _ = spend_of_failure(Transient("http_503", **data))

    assert (spend.calls, spend.in_doubt) == (calls, in_doubt)


PART = Spend(usage={"n": 3}, cost_usd=0.1, calls=2)
WHOLE = Spend(usage={"n": 5}, cost_usd=0.3, calls=3, caused=PART)


@pytest.mark.parametrize("spend", [NOTHING, Spend(), PART, WHOLE, Spend(cost_usd=0.5, by="job-1")])
def test_record_keeps_all_of_a_spend(spend):
    assert of_fields(to_fields(spend)) == spend


def test_damaged_share_is_unknown_and_costs_nothing_else_its_place():
    found = of_fields({**to_fields(WHOLE), "caused": {"cost_usd": "x"}, "by": 7})

    assert (found.cost_usd, found.caused, found.by) == (0.3, Spend(), "")


@pytest.mark.parametrize(
    ("spend", "own", "shared"),
    [
        (WHOLE, PART, 0.2),
        (PART, PART, 0.0),
        (Spend(calls=1, caused=Spend()), Spend(), 0.0),
        (Spend(calls=1, caused=NOTHING), NOTHING, None),
        (Spend(calls=2, cost_usd=0.1, caused=Spend()), Spend(), None),
    ],
)
def test_share_of_other_jobs_is_the_rest_of_the_whole(spend, own, shared):
    assert (spend.own, spend.shared_usd) == (own, shared)


def test_sum_keeps_apart_what_the_job_caused():
    plain = Spend(usage={"n": 1}, cost_usd=0.2)

    found = total([WHOLE, plain])

    assert (found.cost_usd, found.calls) == (0.5, 4)
    assert found.caused == Spend(usage={"n": 4}, cost_usd=0.3, calls=3)


@pytest.mark.parametrize(("caused", "kept", "unknown"), [(PART, PART, ()), ("all", Spend(), ("caused",))])
def test_share_that_a_body_names_is_checked(caused, kept, unknown):
    found = costs(Checked(Spend(cost_usd=0.3)), NOTHING, NOTHING, caused)

    assert (found.made.caused, found.paid, found.unknown) == (kept, NOTHING, unknown)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input_tokens": 7, "output_tokens": 3, "cached_tokens": 5, "reasoning_tokens": 2}, 10),
        ({"input_tokens": 7}, None),
        ({}, None),
    ],
)
def test_tokens_are_those_read_and_written_and_unknown_where_a_count_lacks(usage, tokens):
    assert Spend(usage=usage).tokens == tokens
    assert NOTHING.tokens == 0
