"""``jobs list`` shows jobs by what they are."""

import json
import re

import pytest

from askonce.controls import Pause
from askonce.errors import Permanent, Transient
from tests.unit.cli.jobs.steps import MARKER, ROW, ask, give_up, park, run


def test_jobs_in_flight_and_dead_ones_are_listed_and_finished_ones_are_not(scene, listed, raising):
    dead = give_up(scene, raising)
    scene.answered({**ROW, "currency": "done"})
    running = ask(scene, "one") and run(scene)
    parked = ask(scene, "two") and park(scene)
    queued = ask(scene, "three")
    scene.store.controls.pause(Pause("tenant", "acme"), "ana: stop")
    paused = ask(scene, "four", tenant="acme")

    states = {each["key"]: each["state"] for each in listed()}

    expected = {dead: "dead", running: "running", parked: "parked", queued: "queued", paused: "paused"}
    assert expected == states


def test_list_says_where_a_job_runs_and_keeps_the_owners_token_secret(scene, verb, listed):
    ask(scene, "one")
    run(scene)

    [job] = listed()

    assert ("host:7", 1, "2100-01-01T00:00:00+00:00") == (job["holder"], job["attempts"], job["since"][:25])
    assert "secret" not in verb("list").stdout + json.dumps(job)


def test_list_says_whether_a_job_that_is_not_due_rests_or_was_delayed(scene, verb, raising):
    scene.answered({**ROW, "currency": "rested"}, raising(Transient("http_503", retry_after=30.0)))
    ask(scene, "delayed", countdown=60.0)

    told = verb("list").stdout

    assert ["rests 30 s, http_503", "starts in 60 s"] == sorted(
        re.findall(r"(?:rests|starts) .*$", told, re.MULTILINE)
    )


@pytest.mark.parametrize(
    "option",
    ["--tenant acme", "--run night", "--reason http_503", "--state dead", "--task rates.fetch --tenant acme"],
)
def test_only_jobs_that_fit_every_option_are_listed(scene, listed, raising, option):
    wanted = give_up(scene, raising, tenant="acme", run="night", reason="http_503@ana")
    ask(scene, "other")

    assert [wanted] == [each["key"] for each in listed(*option.split())]


def test_jobs_since_a_time_are_listed(scene, listed):
    ask(scene, "old")
    scene.clock.advance(3600)
    new = ask(scene, "new")

    assert [new] == [each["key"] for each in listed("--since", "2100-01-01T00:30")]


@pytest.mark.parametrize(
    "options",
    [
        ["--since", "yesterday"],
        ["--state", "odd"],
        ["--state", "done"],
        ["--state", "ended"],
        ["--task", ""],
        ["--run", ""],
        ["--reason", ""],
    ],
)
def test_list_that_cannot_be_meant_is_refused(verb, options):
    assert 2 == verb("list", *options).exit_code


def test_scan_finds_jobs_that_are_over(scene, listed, raising):
    scene.answered({**ROW, "currency": "one"})
    scene.answered({**ROW, "currency": "two"}, raising(Permanent("no_such_id")))
    ask(scene, "three")

    assert ["done", "failed", "queued"] == sorted(each["state"] for each in listed("--scan"))
    assert ["failed"] == [each["state"] for each in listed("--scan", "--state", "failed")]


def test_job_that_a_walk_meets_twice_is_listed_once(scene, listed, monkeypatch):
    one, two = (scene.answered({**ROW, "currency": each}).key for each in ("one", "two"))
    monkeypatch.setattr(scene.store.flights, "walk", lambda: iter([[one, two], [two, one]]))

    assert sorted([one, two]) == sorted(each["key"] for each in listed("--scan"))


def test_long_list_shows_a_page_and_says_so(scene, verb):
    for number in range(101):
        ask(scene, f"c{number}")

    page, everything = verb("list"), verb("list", "--all", "--json")

    assert 101 == len(page.stdout.splitlines())  # with its head
    assert 102 == len(verb("list", "--all").stdout.splitlines())
    assert "100 shown of 101 in flight or dead, there are more: --all shows them\n" == page.stderr
    assert (101, "101 shown\n") == (len(everything.stdout.splitlines()), everything.stderr)


def test_jobs_of_one_page_are_listed_the_oldest_first(scene, listed):
    keys = []
    for number in range(5):
        keys.append(ask(scene, f"c{number}"))
        scene.clock.advance(1)

    assert keys == [each["key"] for each in listed()]


def test_table_shows_names_without_control_characters(scene, verb):
    ask(scene, "one", tenant="acme")
    scene.store.controls.pause(Pause("all"), "bob\x1b[2J\u202e")

    head, line = verb("list").stdout.splitlines()

    assert ["key", "task", "state", "since_utc", "tenant", "attempts", "about"] == head.split()
    assert line.endswith("acme    0         bob?[2J?")


def test_empty_list_says_so(verb):
    assert ("", "0 shown\n") == (verb("list").stdout, verb("list").stderr)


def test_task_that_may_be_a_slip_is_told(verb):
    assert (
        "no task of this application has the name 'rates.fech'\n0 shown\n"
        == verb("list", "--task", "rates.fech").stderr
    )


def test_no_list_and_no_show_has_a_payload_or_an_answer(scene, verb, raising):
    give_up(scene, raising)
    key = scene.answered({**ROW, "currency": "one"}, lambda: {"rate": MARKER}).key
    ask(scene, "two")

    told = [verb("list"), verb("list", "--scan", "--json"), verb("show", key), verb("show", key, "--json")]

    assert [] == [each for each in told if MARKER in each.stdout + each.stderr]
