"""``jobs replay``, ``cancel`` and ``invalidate`` act on the jobs that were meant, and on no others."""

import json
from dataclasses import replace
from functools import partial

import pytest

from askonce.controls import Pause
from askonce.errors import LayoutNewer, PayloadInvalid, StoreUnavailable, Transient
from askonce.spec import RetryPolicy
from producer.client import Client
from tests.unit.cli.conftest import Site


@pytest.fixture
def verb(verb):
    return partial(verb, "jobs")


@pytest.fixture
def give_up(scene, raising):
    """Let the attempts of one job be spent; return its key."""
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1)))

    def give_up(currency="BRL", reason="http_503", **options):
        return scene.answered({"currency": currency}, raising(Transient(reason)), **options).key

    return give_up


def flights(scene, *keys):
    return [record.flight for record in scene.store.read(keys)]


def acts(scene):
    return [(each.who, each.act, each.what, each.note) for each in scene.store.audit.entries()]


def test_dead_jobs_that_fit_are_replayed_and_others_are_not(scene, verb, give_up):
    timeout, other = give_up("one", "timeout@ana"), give_up("two", "http_503")

    told = verb("replay", "--reason", "timeout", "--note", "the gateway is back")

    assert (0, "1 done, 0 not\n") == (told.exit_code, told.stderr)
    assert ["queued", "idle"] == flights(scene, timeout, other)
    assert ("ana@laptop", "replay", "--reason timeout: 1 job", "the gateway is back") == acts(scene)[0]


def test_all_dead_jobs_are_replayed_and_told_to_programs(scene, verb, give_up):
    keys = {give_up(currency) for currency in ("one", "two", "three")}

    told = verb("replay", "--all", "--json")

    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert {(key, "admitted") for key in keys} == {(each["key"], each["outcome"]) for each in lines}
    assert "--all: 3 jobs" == acts(scene)[0][2]


def test_dry_run_names_the_jobs_and_changes_nothing(scene, verb, give_up):
    key = give_up()

    told = verb("replay", "--all", "--dry-run")

    assert (0, f"{key}\n") == (told.exit_code, told.stdout)
    assert "--dry-run: replay would be done to 1 job\n" == told.stderr
    assert (["idle"], []) == (flights(scene, key), acts(scene))


def test_task_that_may_be_a_slip_is_told(verb):
    told = verb("replay", "--task", "rates.fech")

    assert "no task of this application has the name 'rates.fech'\n0 done, 0 not\n" == told.stderr


def test_named_jobs_are_replayed_and_what_is_not_dead_is_told(scene, verb, give_up):
    dead, queued = give_up(), scene.ask({"currency": "EUR"}).key

    told = verb("replay", dead[:16], queued)

    assert (1, f"{queued} is not dead\n") == (told.exit_code, told.stdout)
    assert "1 done, 1 not\n" == told.stderr
    assert ["queued", "queued"] == flights(scene, dead, queued)


def test_job_is_replayed_by_its_key_fields(scene, verb, give_up):
    key = give_up("BRL")

    told = verb("replay", "rates.fetch", "currency=BRL")

    assert (0, f"{key} admitted\n") == (told.exit_code, told.stdout)
    assert f"rates.fetch {key}" == acts(scene)[0][2]


def test_replay_whose_message_was_not_sent_goes_on(scene, verb, give_up):
    keys = [give_up("one"), give_up("two")]
    scene.sender.refuses = True

    told = verb("replay", "--all", "--json")

    assert 0 == told.exit_code
    assert all("a worker sends it" in line for line in told.stdout.splitlines())
    assert ["queued", "queued"] == flights(scene, *keys)


def test_replay_of_some_that_fail_names_those(scene, verb, give_up, monkeypatch):
    keys = [give_up("one"), give_up("two")]
    enqueue = Client.enqueue

    def failing(self, task, payload, **options):
        if payload["currency"] == "one":
            raise PayloadInvalid(field="currency", reason="must be known")
        return enqueue(self, task, payload, **options)

    monkeypatch.setattr(Client, "enqueue", failing)

    told = verb("replay", "--all")

    assert (1, "1 done, 1 not\n") == (told.exit_code, told.stderr)
    assert told.stdout.startswith(f"{keys[0]} refused: ")


def test_jobs_of_a_tenant_are_cancelled(scene, verb):
    theirs, ours = (scene.ask({"currency": c}, tenant=t).key for c, t in (("a", "acme"), ("b", "")))

    told = verb("cancel", "--tenant", "acme")

    assert (0, "1 done, 0 not\n") == (told.exit_code, told.stderr)
    assert ["idle", "queued"] == flights(scene, theirs, ours)
    assert ("ana@laptop", "cancel", "--tenant acme: 1 job", "") == acts(scene)[0]


@pytest.mark.parametrize("option", ["run", "reason", "task"])
@pytest.mark.parametrize("act", ["replay", "cancel"])
def test_empty_name_chooses_no_job(scene, verb, give_up, act, option):
    dead, queued = give_up(), scene.ask({"currency": "EUR"}).key

    told = verb(act, f"--{option}", "")

    assert (2, ["idle", "queued"], []) == (told.exit_code, flights(scene, dead, queued), acts(scene))
    assert f"'--{option}': is empty" in told.stderr


def test_empty_tenant_chooses_the_jobs_without_one(scene, verb):
    theirs, ours = (scene.ask({"currency": c}, tenant=t).key for c, t in (("a", "acme"), ("b", "")))

    assert 0 == verb("cancel", "--task", "rates.fetch", "--tenant", "").exit_code
    assert ["queued", "idle"] == flights(scene, theirs, ours)


def test_answer_is_invalidated_by_its_key_fields(scene, verb):
    key = scene.answered({"currency": "EUR"}).key

    told, again = (verb("invalidate", "rates.fetch", "currency=EUR") for _ in range(2))

    assert (0, f"{key} invalidated\n") == (told.exit_code, told.stdout)
    assert None is scene.read(key).value
    assert ["invalidate", "invalidate"] == [act for _, act, _, _ in acts(scene)]
    assert 0 == again.exit_code  # its tombstone


@pytest.mark.parametrize("is_answered", [True, False])
@pytest.mark.parametrize("words", ["jobs invalidate", "cache invalidate"])
def test_answers_of_older_versions_are_invalidated_with_those_of_fields(scene, run_verb, words, is_answered):
    older = scene.answered({"currency": "EUR"}).key
    scene.use(scene.store, replace(scene.spec, version="2", serves_versions=("1",)))
    if is_answered:
        scene.answered({"currency": "EUR"})
    site = Site(specs={scene.spec.name: scene.spec}, store=scene.store, producer=scene.producer)

    told = run_verb(site, *words.split(), "rates.fetch", "currency=EUR")

    assert (0, None) == (told.exit_code, scene.read(older).value)
    assert scene.ask({"currency": "EUR"}).stale is None


def test_record_of_a_newer_version_is_left_alone_and_those_after_it_are_invalidated(scene, verb, monkeypatch):
    newer, key = (scene.answered({"currency": each}).key for each in ("one", "two"))
    invalidate = scene.store.invalidate

    def refusing(each):
        if each == newer:
            raise LayoutNewer(verb="invalidate", key=newer)
        return invalidate(each)

    monkeypatch.setattr(scene.store, "invalidate", refusing)

    told = verb("invalidate", newer, key)

    assert (1, "1 done, 1 not\n") == (told.exit_code, told.stderr)
    assert told.stdout.startswith(f"{newer} refused: The record was written by a newer version")
    assert [False, True] == [scene.read(each).value is None for each in (newer, key)]


def test_absent_key_is_not_invalidated(verb):
    assert (1, f"{'0' * 64} absent\n") == (
        verb("invalidate", "0" * 64).exit_code,
        verb("invalidate", "0" * 64).stdout,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay"],
        ["replay", "0" * 64, "--all"],
        ["replay", "0" * 64, "--task", "rates.fetch"],
        ["replay", "0" * 64, "--tenant", "acme"],
        ["cancel"],
        ["invalidate"],
        ["replay", "--all", "--note", "a\nb"],
        ["cancel", "--all", "--note", "x" * 300],
    ],
)
def test_act_that_cannot_be_meant_is_refused_and_nothing_is_done(scene, verb, give_up, arguments):
    dead, queued = give_up(), scene.ask({"currency": "EUR"}).key

    assert 2 == verb(*arguments).exit_code
    assert (["idle", "queued"], []) == (flights(scene, dead, queued), acts(scene))


@pytest.mark.parametrize("act", ["replay", "cancel"])
def test_nothing_is_done_where_the_audit_takes_no_entry(scene, verb, give_up, act, monkeypatch):
    dead, queued = give_up(), scene.ask({"currency": "EUR"}).key

    def refuse(_entry):
        raise StoreUnavailable(verb="audit", reason="noperm")

    monkeypatch.setattr(scene.store.audit, "note", refuse)

    assert 69 == verb(act, "--all").exit_code
    assert ["idle", "queued"] == flights(scene, dead, queued)


def test_fields_with_a_tenant_mean_the_jobs_of_that_tenant_only(scene, verb):
    rows = {
        tenant: scene.ask({"currency": "BRL", "desk": "7", "for": tenant}, tenant=tenant) for tenant in "ab"
    }

    told = verb("cancel", "rates.fetch", "desk=7", "--tenant", "a")

    assert (0, "1 done, 0 not\n") == (told.exit_code, told.stderr)
    assert ["idle", "queued"] == flights(scene, rows["a"].key, rows["b"].key)
    assert f"rates.fetch --tenant a {rows['a'].key}" == acts(scene)[-1][2]


def test_jobs_that_another_run_asked_for_too_are_left_to_it(scene, verb):
    shared = scene.ask({"currency": "BRL"}, run="one").key
    scene.ask({"currency": "BRL"}, run="two")
    own = scene.ask({"currency": "EUR"}, run="one").key

    told = verb("cancel", "--run", "one")

    assert ["queued", "idle"] == flights(scene, shared, own)
    assert (1, "1 done, 1 not\n") == (told.exit_code, told.stderr)


def test_only_jobs_in_the_state_that_is_named_are_cancelled(scene, verb):
    waits = scene.ask({"currency": "BRL"}).key
    scene.store.controls.pause(Pause("tenant", "a"), "ana")
    paused = scene.ask({"currency": "EUR"}, tenant="a").key

    assert 0 == verb("cancel", "--state", "paused").exit_code

    assert ["queued", "idle"] == flights(scene, waits, paused)


def test_entry_of_many_jobs_begins_with_their_number(scene, verb):
    keys = [scene.ask({"currency": f"c{number}"}).key for number in range(40)]

    verb("cancel", *keys)

    assert acts(scene)[-1][2].startswith(f"40 jobs: {keys[0][:16]} {keys[1][:16]} ")


@pytest.mark.parametrize(("reason", "code"), [("oom", 0), ("noperm", 69)])
def test_full_store_keeps_no_entry_of_what_makes_room_and_says_so(scene, verb, monkeypatch, reason, code):
    key = scene.ask({"currency": "BRL"}).key

    def refuse(_entry):
        raise StoreUnavailable(verb="audit", reason=reason)

    monkeypatch.setattr(scene.store.audit, "note", refuse)

    told = verb("cancel", key)

    assert code == told.exit_code
    assert ("the audit has no entry of this cancel" in told.stderr) == (reason == "oom")
    assert [("idle" if reason == "oom" else "queued")] == flights(scene, key)
