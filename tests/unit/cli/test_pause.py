"""A pause names what it holds back, who wants it and why; what it cannot mean is refused."""

import json

import pytest

from askonce.announcements import Announcement
from askonce.cli.examined import examine_work
from askonce.controls import NOTE_KEPT, Pause

OPTIONS = {
    "--all": Pause("all"),
    "--queue jobs": Pause("queue", "jobs"),
    "--task rates.fetch": Pause("task", "rates.fetch"),
    "--tenant acme": Pause("tenant", "acme"),
    "--run monday": Pause("run", "monday"),
    "--model small": Pause("model", "small"),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_pause_is_kept_with_who_wants_it_and_why(scene, verb, option):
    told = verb("pause", *option.split(), "--note", "the invoice is wrong")

    assert 0 == told.exit_code
    assert {OPTIONS[option]: "ana@laptop: the invoice is wrong"} == scene.store.controls.pauses()
    assert "ana@laptop: the invoice is wrong" in told.stdout


@pytest.mark.parametrize("option", OPTIONS)
def test_resume_ends_the_pause_of_the_same_option(scene, verb, option):
    scene.store.controls.pause(OPTIONS[option], "")

    told = verb("resume", *option.split())

    assert (0, {}) == (told.exit_code, scene.store.controls.pauses())


def test_resume_without_a_pause_says_so_and_names_those_that_hold(scene, verb):
    scene.store.controls.pause(Pause("tenant", "acme"), "ana@laptop")

    told = verb("resume", "--all")

    assert 1 == told.exit_code
    assert ["there is no pause --all", "still paused: tenant acme: ana@laptop"] == told.stderr.splitlines()


def test_pauses_are_listed_for_people_and_programs(scene, verb):
    scene.store.controls.pause(Pause("queue", "jobs"), "ana@laptop: full")
    scene.store.controls.pause(Pause("all"), "bob\x1b[2J")

    people, programs = verb("pauses"), verb("pauses", "--json")

    assert ["all jobs: bob?[2J", "queue jobs: ana@laptop: full"] == people.stdout.splitlines()
    assert {"scope": "queue", "name": "jobs", "since": None, "note": "ana@laptop: full"} == json.loads(
        programs.stdout.splitlines()[1]
    )


def test_pauses_say_since_when_they_hold(scene, verb):
    verb("pause", "--all", "--note", "before")
    verb("resume", "--all")
    scene.clock.advance(60)
    verb("pause", "--all", "--note", "full")
    scene.store.controls.pause(Pause("queue", "jobs"), "a program")

    people, programs = verb("pauses"), verb("pauses", "--json")

    assert ["all jobs: ana@laptop: full (since 2100-01-01T00:01:00+00:00)", "queue jobs: a program"] == (
        people.stdout.splitlines()
    )
    since = [json.loads(line)["since"] for line in programs.stdout.splitlines()]
    assert ["2100-01-01T00:01:00+00:00", None] == since


def test_nothing_paused_is_said(verb):
    assert "nothing is paused\n" == verb("pauses").stderr


@pytest.mark.parametrize("command", ["pause", "resume"])
@pytest.mark.parametrize("options", [[], ["--all", "--task", "t"], ["--tenant", ""], ["--run", "a\nb"]])
def test_pause_that_names_nothing_or_two_things_is_refused(scene, verb, command, options):
    scene.store.controls.pause(Pause("all"), "")

    assert 2 == verb(command, *options).exit_code
    assert [Pause("all")] == list(scene.store.controls.pauses())


def test_pause_of_an_unknown_task_is_refused_and_its_end_is_not(scene, verb):
    scene.store.controls.pause(Pause("task", "gone"), "")

    assert 2 == verb("pause", "--task", "rates.fech").exit_code
    assert 0 == verb("resume", "--task", "gone").exit_code


@pytest.mark.parametrize(
    ("option", "doubt"),
    [
        ("--queue jobs", "no living worker takes queue 'jobs'"),
        ("--model small", "no task of this application names the model 'small'"),
    ],
)
def test_pause_whose_name_nobody_knows_holds_and_says_so(scene, verb, option, doubt):
    told = verb("pause", *option.split())

    assert (0, f"{doubt}\n") == (told.exit_code, told.stderr)
    assert {OPTIONS[option]: "ana@laptop"} == scene.store.controls.pauses()


def test_pause_of_a_queue_that_a_worker_takes_raises_no_doubt(scene, verb):
    scene.store.announcements.announce(Announcement(worker="w", queues=("jobs",), tasks={}, slots=1), 15.0)

    assert "" == verb("pause", "--queue", "jobs").stderr


def test_note_that_would_be_cut_is_refused(scene, verb):
    told = verb("pause", "--all", "--note", "x" * NOTE_KEPT)

    assert (2, {}) == (told.exit_code, scene.store.controls.pauses())
    assert "--note: is 12 characters too long" in told.stderr


def test_doctor_names_each_pause_and_its_note(scene):
    scene.store.controls.pause(Pause("task", "rates.fetch"), "ana@laptop: full")

    found = examine_work([], scene.store, lambda task: None, lambda reason: "")

    [line] = [str(each) for each in found if each.subject == "pauses"]
    assert line.startswith("warning: pauses: task rates.fetch is paused: ana@laptop: full; ")
