"""``audit`` shows who did what to jobs, when and why; each verb writes that before it acts."""

import getpass
import json
from dataclasses import replace

import pytest

from askonce.audit import Entry
from askonce.controls import Pause
from askonce.errors import StoreUnavailable, Transient
from askonce.spec import RetryPolicy

KEY, LOGGED_IN = "0" * 64, getpass.getuser
VERBS = {
    "pause --task rates.fetch": ("pause", "--task rates.fetch"),
    "resume --all": ("resume", "--all"),
    f"cancel {KEY}": ("cancel", KEY),
    f"cancel {KEY} --run night": ("cancel", f"{KEY} --run night"),
    f"dead discard {KEY}": ("discard", KEY),
    "dead replay --reason http_503": ("replay", "--reason http_503: 1 dead letter"),
    "dead discard --all": ("discard", "--all: 1 dead letter"),
    "jobs replay --all": ("replay", "--all: 1 job"),
    "jobs cancel --task rates.fetch": ("cancel", "--task rates.fetch: 0 jobs"),
    f"jobs invalidate {KEY}": ("invalidate", KEY),
}


@pytest.fixture
def dead(scene, raising):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1)))
    return scene.answered(body=raising(Transient("http_503"))).key


def note(scene, **parts):
    scene.store.audit.note(Entry(**{"who": "ana@laptop", "act": "pause", "what": "--all", **parts}))


@pytest.mark.parametrize("words", VERBS)
def test_verb_writes_down_who_what_and_why(scene, verb, dead, words):
    verb(*words.split(), "--note", "the invoice")

    entries = [(each.act, each.what, each.who, each.note) for each in scene.store.audit.entries()]

    assert [(*VERBS[words], "ana@laptop", "the invoice")] == entries


def test_entry_of_a_file_of_rows_says_whose_rows_they_are(scene, verb, tmp_path):
    file = tmp_path / "orders.jsonl"
    file.write_text('{"currency":"BRL"}\n')

    verb("cancel", file, "--task", "rates.fetch", "--tenant", "acme", "--run", "night")

    [entry] = scene.store.audit.entries()
    assert f"{file} --task rates.fetch --tenant acme --run night" == entry.what


@pytest.mark.parametrize("verb_of", ["cancel", "jobs cancel"])
def test_command_is_one_entry_that_names_the_first_of_many(scene, verb, verb_of):
    keys = [scene.ask({"currency": f"c{number}"}).key for number in range(21)]

    verb(*verb_of.split(), *keys[:3])
    verb(*verb_of.split(), *keys)

    entries = [each.what for each in scene.store.audit.entries()]
    what = {"cancel": "name", "jobs cancel": "job"}[verb_of]
    few, first = (" ".join(key[:16] for key in keys[:most]) for most in (3, 20))
    assert [f"3 {what}s: {few}", f"21 {what}s: {first} ..."] == entries


@pytest.mark.parametrize(
    ("env", "who"),
    [({"LOGNAME": "bob"}, "bob@laptop"), ({"LOGNAME": "root", "SUDO_USER": "eve"}, "eve@laptop")],
)
def test_operator_may_say_who_acts_as_login_and_sudo_do(scene, verb, monkeypatch, env, who):
    monkeypatch.setattr("getpass.getuser", LOGGED_IN)
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    verb("pause", "--all")

    assert [who] == [each.who for each in scene.store.audit.entries()]


@pytest.mark.parametrize("words", VERBS)
def test_verb_does_nothing_where_its_entry_is_not_kept(scene, verb, dead, words, monkeypatch):
    scene.store.controls.pause(Pause("all"), "before")
    read = scene.read(dead)

    def refuse(_entry):
        raise StoreUnavailable(verb="audit", reason="noperm")

    monkeypatch.setattr(scene.store.audit, "note", refuse)

    told = verb(*words.split())

    assert (69, True) == (told.exit_code, "noperm" in told.stderr)
    assert (read, {Pause("all"): "before"}) == (scene.read(dead), scene.store.controls.pauses())


def test_entries_are_shown_the_latest_last(scene, verb):
    note(scene, note="the invoice")
    scene.clock.advance(60)
    note(scene, act="resume", what="--all")

    people, programs = verb("audit"), verb("audit", "--json")

    head, first, second = people.stdout.splitlines()
    assert ["at", "who", "act", "what", "note"] == head.split()
    assert ["2100-01-01T00:00:00+00:00", "ana@laptop", "pause", "--all", "the", "invoice"] == first.split()
    assert "resume" in second
    assert {
        "who": "ana@laptop",
        "act": "resume",
        "what": "--all",
        "note": "",
        "at": "2100-01-01T00:01:00+00:00",
    } == json.loads(programs.stdout.splitlines()[1])


def test_entries_since_a_time_are_shown(scene, verb):
    note(scene, what="old")
    scene.clock.advance(3600)
    note(scene, what="new")

    told = verb("audit", "--since", "2100-01-01T00:30", "--json")

    assert ["new"] == [json.loads(line)["what"] for line in told.stdout.splitlines()]


def test_latest_page_is_shown_and_older_ones_on_request(scene, verb):
    for number in range(101):
        note(scene, what=f"w{number}")

    page, everything = verb("audit"), verb("audit", "--all", "--json")

    assert "100 shown, there are older ones: --all shows them\n" == page.stderr
    assert {"w1", "w100"} < (words := set(page.stdout.split()))
    assert "w0" not in words
    assert 101 == len(everything.stdout.splitlines())


def test_entry_of_a_stranger_moves_no_cursor(scene, verb):
    note(scene, who="bob\x1b[2J", what="a\nb", note="\u202e")

    told = verb("audit")

    assert 2 == len(told.stdout.splitlines())
    assert told.stdout.isascii()
    assert "\x1b" not in told.stdout


def test_empty_audit_says_so(verb):
    assert ("", "0 shown\n") == (verb("audit").stdout, verb("audit").stderr)
