"""What ``cost`` shows is what the store counted: whole numbers, and unknown where a part is."""

import json
from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.cli import cost as cost_module
from askonce.job import Key, Owner
from askonce.tally import DAYS_KEPT, Book

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()
DAY = 86_400


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=NOON)
    monkeypatch.setattr(cost_module, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


@pytest.fixture
def store(clock):
    return MemoryStore(lambda: clock.now)


@pytest.fixture
def paid(store):
    """Count what one run paid."""
    owners = map(str, count())

    def pay(task="rates.fetch", tenant="", model="", **amounts):
        named = {name.replace("__", ":"): amount for name, amount in amounts.items()}
        book = Book(task, tenant, model, tuple(named.items()))
        store.tally.book_late(Key("a" * 64), Owner(next(owners)), book)

    return pay


@pytest.fixture
def cost(store, run_verb):
    return lambda *options: run_verb(SimpleNamespace(store=store), "cost", *options)


def shown(told):
    assert 0 == told.exit_code, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_sum_of_many_small_prices_is_exact(cost, paid):
    for _ in range(1000):
        paid(calls=1, micro_usd=100_001)

    [line, total] = shown(cost("--json"))

    assert ("rates.fetch", 1000, 100.001) == (line["task"], line["calls"], line["cost_usd"])
    assert (True, 100_001_000) == (total["total"], total["known_micro_usd"])


def test_one_unknown_price_makes_the_sum_unknown_and_never_0(cost, paid):
    paid(calls=1, micro_usd=1200)
    paid("orders", calls=2, unpriced=2)
    paid("orders", calls=1, micro_usd=300)

    orders, rates, total = shown(cost("--json"))
    table = cost()

    assert [None, 0.0012, None] == [each["cost_usd"] for each in (orders, rates, total)]
    assert [300, 1200, 1500] == [each["known_micro_usd"] for each in (orders, rates, total)]
    assert [2, 0, 2] == [each["unpriced"] for each in (orders, rates, total)]
    cells = [line.split()[3] for line in table.stdout.splitlines()[1:]]
    assert [">=0.000300", "0.001200", ">=0.001500"] == cells
    assert "calls without a known price: what was paid is at least the sum (2)" in table.stderr


def test_cost_of_which_nothing_is_known_is_unknown(cost, paid):
    paid(calls=1, unpriced=1)

    assert "unknown" == cost().stdout.splitlines()[1].split()[3]


def test_calls_in_doubt_and_avoided_cost_stand_beside_it(cost, paid, store):
    paid(calls=1, micro_usd=1200, in_doubt=3)
    store.tally.count(("rates.fetch", "", ""), "hit", 2)
    store.tally.count(("rates.fetch", "", ""), "avoided_micro_usd", 2400)

    [line, _] = shown(cost("--json"))
    table = cost()

    assert (3, 2, 0.0024) == (line["in_doubt"], line["hits"], line["avoided_usd"])
    head, row, _ = (line.split() for line in table.stdout.splitlines())
    assert ["task", "calls", "cost_usd", "in_doubt", "hits", "avoided_usd"] == head
    assert ["rates.fetch", "1", "0.001200", "3", "2", "0.002400"] == row
    assert "calls in doubt: whether they were paid is unknown (3)" in table.stderr


def test_avoided_cost_is_unknown_where_that_of_one_hit_is(cost, store):
    store.tally.count(("rates.fetch", "", ""), "hit", 2)
    store.tally.count(("rates.fetch", "", ""), "avoided_micro_usd", 2400)
    store.tally.count(("rates.fetch", "", ""), "avoided_unknown", 1)

    [line, _] = shown(cost("--json"))

    assert (None, 2400, 1) == (line["avoided_usd"], line["known_avoided_micro_usd"], line["avoided_unknown"])
    assert ">=0.002400" in cost().stdout


def test_tokens_are_shown_as_the_provider_names_them(cost, paid):
    paid(calls=1, micro_usd=1, tokens__input_tokens=7, tokens__output_tokens=900)

    [line, _] = shown(cost("--json"))

    assert {"output_tokens": 900, "input_tokens": 7} == line["tokens"]
    assert ["output_tokens", "input_tokens"] == cost().stdout.splitlines()[0].split()[-2:]


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        (["task"], [{"task": "orders"}, {"task": "rates"}]),
        (["tenant"], [{"tenant": ""}, {"tenant": "acme"}]),
        (["model"], [{"model": "large"}, {"model": "small"}]),
        (["day"], [{"day": "2026-11-26"}, {"day": "2026-11-27"}]),
        (
            ["day", "model"],
            [{"day": "2026-11-26", "model": "large"}, {"day": "2026-11-27", "model": "small"}],
        ),
    ],
)
def test_lines_are_split_as_asked_and_add_up(cost, paid, clock, by, groups):
    clock.now -= DAY
    paid("orders", tenant="acme", model="large", calls=1, micro_usd=1)
    clock.now += DAY
    paid("rates", tenant="", model="small", calls=2, micro_usd=2)

    *lines, total = shown(cost("--json", *(word for name in by for word in ("--by", name))))

    assert groups == [{name: line[name] for name in by} for line in lines]
    assert (3, 3) == (total["calls"], sum(line["known_micro_usd"] for line in lines))


@pytest.mark.parametrize(
    ("since", "calls"),
    [("2026-11-27", 1), ("2026-11-26", 3), ("1h", 1), ("13h", 3), ("1d", 3), ("2d", 7), ("400d", 15)],
)
def test_since_counts_whole_days_of_utc_from_that_moment_on(cost, paid, clock, since, calls):
    for day, amount in enumerate((1, 2, 4, 8)):
        clock.now = NOON - day * DAY
        paid(calls=amount, micro_usd=amount)
    clock.now = NOON

    assert calls == shown(cost("--json", "--since", since))[-1]["calls"]
    assert " 00:00 UTC" in cost("--since", since).stderr


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "7w", "", "2026-11-28", f"{DAYS_KEPT + 1}d"])
def test_since_that_names_no_kept_day_is_refused_by_name(cost, since):
    told = cost("--since", since)

    assert 2 == told.exit_code
    assert "'--since'" in told.stderr


def test_store_that_counted_nothing_shows_a_sum_of_nothing(cost):
    assert [0, 0.0] == [shown(cost("--json"))[0][name] for name in ("calls", "cost_usd")]
    assert "total" == cost().stdout.splitlines()[1].split()[0]


def test_jobs_that_cost_nothing_have_no_line(cost, store):
    store.tally.count(("rates.fetch", "", ""), "admitted", 2)

    assert 1 == len(shown(cost("--json")))


def test_table_fits_into_a_terminal_and_says_what_it_leaves_out(cost, paid, monkeypatch):
    monkeypatch.setattr("askonce.cli.table.room_of_stdout", lambda: 80)
    paid("meetings.extract", calls=1, micro_usd=1, tokens__input_tokens=7, tokens__output_tokens=900)

    plain, by_many = cost(), cost("--by", "task", "--by", "model", "--by", "tenant", "--by", "day")

    assert all(len(line) <= 80 for line in [*plain.stdout.splitlines(), *by_many.stdout.splitlines()])
    assert "no room for input_tokens: --json has them\n" == plain.stderr


def test_name_of_a_tenant_stays_on_its_line(cost, paid):
    paid(tenant="a\x1b[2Jb", calls=1, micro_usd=1)

    assert "a?[2Jb" in cost("--by", "tenant").stdout
