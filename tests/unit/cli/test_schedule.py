"""What people see of a schedule, and what they do to it."""

import json
from datetime import UTC, datetime

import pytest

from askonce.schedule import Cron, Entry, Every, Policy, StoredFile
from askonce.schedules import NOTE_KEPT, Due, Slot
from tests.unit.cli.conftest import Site

QUERY = StoredFile(task="rates.fetch", path=None)
HOUR = 3_600_000
NIGHT = Entry(name="night", at=Cron("30 2 * * *", "Europe/Berlin"), query=QUERY)
HOURLY = Entry(name="hour ü", at=Every(3600), query=QUERY, policy=Policy(overlap="queue_one"))


@pytest.fixture
def verb(scene, run_verb):
    """Run a verb on the scene's store, with two entries or others."""

    def run(*arguments, entries=(NIGHT, HOURLY)):
        site = Site(
            specs={scene.spec.name: scene.spec},
            store=scene.store,
            producer=scene.producer,
            entries=lambda: entries,
        )
        return run_verb(site, "schedule", *map(str, arguments))

    return run


@pytest.fixture
def schedules(scene):
    scene.clock.set(round(datetime(2027, 3, 27, 12, tzinfo=UTC).timestamp() * 1_000_000))
    return scene.store.schedules


def as_json(told):
    return [json.loads(line) for line in told.stdout.splitlines()]


def slot_jobs(scene):
    return [message.job for message in scene.sender.sent if message.job.task == "askonce.slot"]


def audited(scene):
    return [(each.act, each.what, each.note) for each in scene.store.audit.entries()]


def test_entries_are_listed_with_what_is_known(verb, schedules, scene):
    now = schedules.look([]).now
    schedules.decide("hour ü", Due((Slot(now - HOUR),)))
    schedules.decide("hour ü", Due((Slot(now), Slot(now + HOUR)), waiting=1))
    schedules.progress("hour ü", Slot(now), {"asked": 7})
    schedules.pause("night", "ana@laptop: too dear\x1b[2J")

    programs, people = verb("list", "--json"), verb("list")

    night, hour = as_json(programs)
    assert {
        "entry": "night",
        "task": "rates.fetch",
        "next": "2027-03-28T01:00:00Z",
        "under_way": None,
        "since": None,
        "succeeded": None,
        "paused": "ana@laptop: too dear\x1b[2J",
        "waiting": None,
        "facts": {},
    } == night
    assert ("2027-03-27T12:00:00Z", "2027-03-27T12:00:00+00:00", 1, {"asked": 7}) == tuple(
        hour[name] for name in ("under_way", "since", "waiting", "facts")
    )
    assert "2027-03-28T01:00:00Z" in people.stdout
    assert "too dear?[2J" in people.stdout
    assert "asked=7" in people.stdout


def test_application_without_a_schedule_says_so(verb):
    for words in (["list"], ["next"]):
        told = verb(*words, entries=())

        assert (0, "", "this application has no schedule\n") == (told.exit_code, told.stdout, told.stderr)


def test_next_slots_are_shown_over_a_change_of_clocks(verb, schedules):
    told = verb("next", "night", "-n", 3, "--json")

    assert [
        ("2027-03-28T01:00:00Z", "2027-03-28T03:00+02:00 Europe/Berlin"),
        ("2027-03-29T00:30:00Z", "2027-03-29T02:30+02:00 Europe/Berlin"),
        ("2027-03-30T00:30:00Z", "2027-03-30T02:30+02:00 Europe/Berlin"),
    ] == [(each["slot"], each["local"]) for each in as_json(told)]


def test_slots_end_where_the_calendar_does(verb, schedules):
    leap = Entry(name="leap", at=Cron("0 0 * 2 mon#5"), query=QUERY)

    told = verb("next", "leap", "-n", 1000, "--json", entries=[leap])

    assert 0 == told.exit_code
    assert as_json(told)[-1]["slot"] < "9999-12-31"


def test_next_slots_of_all_entries_are_in_the_order_of_time(verb, schedules):
    told = verb("next", "-n", 2)

    slots = [line.split()[0] for line in told.stdout.splitlines()[1:]]
    assert 4 == len(slots)
    assert sorted(slots) == slots
    assert verb("next", "-n", 0).exit_code == 2


def test_person_starts_a_slot_now(verb, schedules, scene):
    told = verb("run", "night", "--note", "new prices")

    slot = schedules.look(["night"]).states["night"].open
    assert (0, "night: slot 2027-03-27T12:00:00Z by hand is under way\n") == (told.exit_code, told.stdout)
    assert Slot(round(datetime(2027, 3, 27, 12, tzinfo=UTC).timestamp()) * 1000, by_hand=True) == slot
    payloads = [json.loads(job.payload) for job in slot_jobs(scene)]
    assert [{"entry": "night", "slot": slot.name}] == payloads
    assert [("run", "schedule night", "new prices")] == audited(scene)


def test_slot_is_not_started_while_another_one_is_under_way(verb, schedules, scene):
    verb("run", "night")
    verb("run", "hour ü")
    scene.clock.advance(1)
    told, waits = verb("run", "night"), verb("run", "hour ü")

    assert (1, "night: nothing was started: 2027-03-27T12:00:00Z by hand is under way\n") == (
        told.exit_code,
        told.stderr,
    )
    assert (0, "hour ü: waits until 2027-03-27T12:00:00Z by hand has ended\n") == (
        waits.exit_code,
        waits.stderr,
    )
    assert 2 == len(slot_jobs(scene))


def test_paused_entry_is_started_by_force_alone(verb, schedules):
    paused = verb("pause", "night", "--note", "too dear")
    refused, forced = verb("run", "night"), verb("run", "night", "--force")

    assert "paused night: ana@laptop: too dear\n" == paused.stdout
    assert (1, "night is paused: ana@laptop: too dear; --force starts it all the same\n") == (
        refused.exit_code,
        refused.stderr,
    )
    assert 0 == forced.exit_code
    assert "ana@laptop: too dear" == schedules.look(["night"]).states["night"].paused


def test_forced_start_says_which_slot_waits_while_none_is_under_way(verb, schedules):
    schedules.decide("night", Due((Slot(0),)))
    schedules.decide("night", Due((Slot(HOUR), Slot(2 * HOUR)), waiting=1))
    schedules.pause("night", "stop")
    schedules.ended("night", Slot(HOUR), "done", {})

    forced = verb("run", "night", "--force")

    said = "night: nothing was started: 1970-01-01T02:00:00Z waits until the entry is resumed\n"
    assert (1, said) == (forced.exit_code, forced.stderr)


def test_pause_and_resume_are_audited(verb, schedules, scene):
    verb("pause", "night", "--note", "too dear")
    told, again = verb("resume", "night", "--note", "paid"), verb("resume", "night")

    assert ((0, "resumed night\n"), (1, "night is not paused\n")) == (
        (told.exit_code, told.stdout),
        (again.exit_code, again.stderr),
    )
    assert [
        ("pause", "schedule night", "too dear"),
        ("resume", "schedule night", "paid"),
        ("resume", "schedule night", ""),
    ] == audited(scene)
    assert schedules.look(["night"]).states["night"].paused is None


def test_history_is_shown_newest_first(verb, schedules, scene):
    empty = verb("history", "night")
    verb("run", "night")
    slot = schedules.look(["night"]).states["night"].open
    scene.clock.advance(90)
    schedules.ended("night", slot, "done", {"asked": 3, "note": "\x1b[2J"})

    programs, people = verb("history", "night", "--json"), verb("history", "night")

    assert (0, "night has had no slot\n") == (empty.exit_code, empty.stderr)
    assert [
        {
            "slot": slot.name,
            "what": "done",
            "at": "2027-03-27T12:01:30+00:00",
            "facts": {"asked": 3, "note": "\x1b[2J"},
        },
        {"slot": slot.name, "what": "sent", "at": "2027-03-27T12:00:00+00:00", "facts": {}},
    ] == as_json(programs)
    assert "asked=3 note=?[2J" in people.stdout


@pytest.mark.parametrize("words", [["next"], ["run"], ["pause"], ["resume"], ["history"]])
def test_unknown_entry_is_refused_and_the_known_ones_are_named(verb, scene, words):
    told = verb(*words, "nigth")

    assert (2, []) == (told.exit_code, list(scene.store.audit.entries()))
    assert "unknown entry 'nigth'; there are: 'hour ü', 'night'" in told.stderr


@pytest.mark.parametrize("word", ["run", "pause", "resume"])
def test_note_that_would_be_cut_is_refused(verb, scene, word):
    told = verb(word, "night", "--note", "x" * NOTE_KEPT)

    assert (2, []) == (told.exit_code, list(scene.store.audit.entries()))
    assert "characters too long" in told.stderr
