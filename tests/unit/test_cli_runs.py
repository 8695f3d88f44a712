"""``runs`` shows what producers say of their runs, and that a producer is gone."""

import json
import re
from types import SimpleNamespace

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.cli.table import width_of

FACTS = {"rows": 100, "done": 60, "cost_usd": 0.000213, "note": "a\x1b[2J"}


@pytest.fixture
def store(clock):
    return MemoryStore(clock)


@pytest.fixture
def verb(store, run_verb):
    return lambda *arguments: run_verb(SimpleNamespace(store=store), "runs", *arguments)


@pytest.fixture
def hold(store):
    return lambda name="monday": store.runs.hold(name, "host:1", 60.0, "rates.fetch", FACTS)


def test_run_is_listed_with_its_counts_in_one_line(verb, hold):
    hold()

    head, line = verb("list").stdout.splitlines()

    assert ["run", "producer", "state", "updated_utc", "rows", "done", "cost_usd"] == head.split()
    assert ["monday", "host:1", "running", "01-01 00:00", "100", "60", "0.000213"] == re.split(" {2,}", line)


def test_list_fits_into_a_terminal_and_keeps_the_whole_name_of_a_run(verb, hold, monkeypatch):
    monkeypatch.setattr("askonce.cli.table.room_of_stdout", lambda: 80)
    names = ["順序" * 15, "n" * 80, "monday"]
    for name in names:
        hold(name)

    lines = verb("list").stdout.splitlines()

    assert 80 == max(map(width_of, lines))
    assert names == [name for name in names if any(line.startswith(name) for line in lines)]


def test_rows_that_earlier_starts_have_answered_are_done(verb, store):
    store.runs.hold("a", "host:1", 60.0, "rates.fetch", {"rows": 9, "done": 2, "answered_before": 7})

    assert ["9", "9"] == verb("list").stdout.splitlines()[1].split()[-2:]


def test_run_that_something_else_described_is_listed(verb, store):
    store.runs.hold("a", "host:1", 60.0, "rates.fetch", {"rows": "many\x1b", "done": "all"})

    assert ["many?", "0"] == verb("list").stdout.splitlines()[1].split()[-2:]


def test_run_with_a_call_of_unknown_price_is_listed_with_what_is_known(verb, store):
    for name, cost in (("a", 0), ("b", 0.5)):
        facts = {"rows": 1, "cost_usd": cost, "unpriced_calls": 1}
        store.runs.hold(name, "host:1", 60.0, "rates.fetch", facts)

    assert {"unknown", ">=0.5"} == {line.split()[-1] for line in verb("list").stdout.splitlines()[1:]}


def test_run_whose_producer_is_gone_is_left(verb, hold, clock):
    hold()
    clock.advance(61)

    assert "left" == json.loads(verb("show", "monday", "--json").stdout)["state"]
    assert "  left  " in verb("list").stdout


def test_run_is_shown_for_people_and_programs(verb, hold, store):
    hold()
    store.runs.ask_to_stop("monday", "ana@laptop: wrong file")

    people, programs = verb("show", "monday").stdout, json.loads(verb("show", "monday", "--json").stdout)

    lines = dict(line.split(None, 1) for line in people.splitlines())
    assert {
        "name": "monday",
        "state": "running",
        "stop": "ana@laptop: wrong file",
        "done": "60",
    }.items() <= lines.items()
    assert ("a?[2J", "0.000213") == (lines["note"], lines["cost_usd"])
    assert (FACTS, "host:1", True) == (programs["facts"], programs["holder"], programs["alive"])


def test_run_that_nobody_knows_is_named(verb):
    told = verb("show", "mnoday")

    assert (1, "mnoday: no run has this name; runs list names them\n") == (told.exit_code, told.stderr)


def test_list_of_many_says_that_there_are_more(verb, hold):
    for n in range(101):
        hold(f"run-{n}")

    short, whole = verb("list"), verb("list", "--all", "--json")

    assert (1 + 100, 101) == (len(short.stdout.splitlines()), len(whole.stdout.splitlines()))
    assert "100 shown of 101: --all shows them\n" == short.stderr
    assert "" == whole.stderr


def test_empty_list_is_said(verb):
    assert "no run is known\n" == verb("list").stderr
