"""``runs`` shows what producers say of their runs, and that a producer is gone."""

import json
from types import SimpleNamespace

import pytest

from askonce.adapters.memory import MemoryStore

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

    [line] = verb("list").stdout.splitlines()

    words = ["running", "monday", "rates.fetch", "host:1", "rows=100 done=60 cost_usd=0.000213"]
    assert words == line.split("  ")[1:]


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

    assert (100, 101) == (len(short.stdout.splitlines()), len(whole.stdout.splitlines()))
    assert "100 shown of 101: --all shows them\n" == short.stderr
    assert "" == whole.stderr


def test_empty_list_is_said(verb):
    assert "no run is known\n" == verb("list").stderr
