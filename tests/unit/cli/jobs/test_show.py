"""``jobs show`` says of each job why it waits, where it runs or how it ended."""

import json
from dataclasses import replace

import pytest

from askonce.announcements import Announcement
from askonce.answer import Answer
from askonce.controls import Pause
from askonce.errors import LayoutNewer, PayloadInvalid, Permanent, Transient
from producer.client import Client
from tests.unit.cli.jobs.steps import MARKER, ROW, ask, give_up, park, run


def test_shown_job_has_its_cost_and_the_ages_of_lease_and_answer(scene, verb):
    key = scene.answered(body=lambda: Answer({"rate": 5}, cost_usd=0.25, usage={"input_tokens": 7})).key
    scene.clock.advance(9)
    running = ask(scene, "one") and run(scene)

    done, runs = [json.loads(verb("show", each, "--json").stdout) for each in (key, running)]

    assert (9.0, 0.25, {"input_tokens": 7}) == (done["answer_age_seconds"], done["cost_usd"], done["usage"])
    assert (30.0, None) == (runs["lease_left_seconds"], runs["cost_usd"])
    assert "cost_usd            0.25\n" in verb("show", key).stdout


def test_unreadable_record_is_listed_and_shown(scene, verb, listed):
    key = ask(scene, "one")
    [record] = scene.store.flights.show([key])
    damaged = record._replace(error=LayoutNewer(verb="read", key=key))
    scene.store.flights.show = lambda keys: [damaged for _ in keys]

    assert ["unreadable"] == [each["state"] for each in listed()]
    assert "newer version" in verb("show", key).stdout


def test_job_without_a_worker_says_so(scene, why):
    assert why(ask(scene, "one")).startswith("no worker is running: jobs wait until one does; ")


@pytest.mark.parametrize(
    ("before", "messages", "place"),
    [
        (37, 412, "37 messages before it, of 412 messages in queue slow"),
        (0, 1, "0 messages before it, of 1 message in queue slow"),
        (None, 412, "412 messages in queue slow; its own place is unknown"),
        (None, 0, "queue slow is empty: a worker has received its message, or it was deleted"),
        (None, None, "the broker does not say how long queue slow is"),
    ],
)
def test_job_that_waits_for_a_slot_says_what_is_before_it(scene, why, broker, before, messages, place):
    worker = Announcement(worker="w", queues=("slow",), tasks={scene.spec.name: "1"}, slots=1)
    scene.store.announcements.announce(worker, 60.0)
    broker(before, messages)

    told = why(ask(scene, "one", queue="slow"))

    assert f"for a free slot: rates.fetch is run by 1 worker of queue slow; {place}" == told


@pytest.mark.parametrize(
    ("workers", "told"),
    [
        ("2", "the workers of queue slow have version 2 of rates.fetch, the job has 1 (model small)"),
        ("1", "for a free slot: rates.fetch is run by 1 worker of queue slow; 1 message in queue slow"),
    ],
    ids=["only another", "its own"],
)
def test_job_of_another_version_than_its_task_waits_for_workers_with_its_own(
    scene, why, broker, workers, told
):
    scene.use(scene.store, replace(scene.spec, version="1", model="small"))
    key = ask(scene, "one", queue="slow")
    scene.use(scene.store, replace(scene.spec, version="2", model="big"))
    worker = Announcement(worker="w", queues=("slow",), tasks={scene.spec.name: workers}, slots=1)
    scene.store.announcements.announce(worker, 60.0)
    broker(None, 1)

    assert why(key).startswith(told)


def test_job_is_shown_although_the_broker_is_away(scene, why, worker):
    told = why(ask(scene, "one"))

    assert "what is before it is unknown: the broker does not answer (ConnectionRefusedError)" in told


def test_paused_job_names_each_pause_and_who_paused(scene, why, worker):
    scene.store.controls.pause(Pause("tenant", "acme"), "ana@laptop: the invoice")
    scene.store.controls.pause(Pause("all"), "bob@desk")

    assert "paused: all jobs: bob@desk; tenant acme: ana@laptop: the invoice" == why(
        ask(scene, "one", tenant="acme")
    )


def test_parked_job_says_for_which_provider_and_until_when(scene, why, worker):
    ask(scene, "one")
    key = park(scene)
    scene.clock.advance(5)

    told = why(key)

    assert told.startswith("for its provider, since 5 s (rate_limited); the next look is in 15.0 s: ")


def test_resting_job_says_how_long(scene, why, worker, raising):
    asked = scene.answered(body=raising(Transient("http_503")))

    assert "it rests for 5.0 s, after a failure" == why(asked.key)


def test_delayed_job_says_when_it_starts(scene, why, worker):
    key = ask(scene, "one", countdown=30.0)
    scene.clock.advance(10)

    assert "its caller delayed it: it starts in 20.0 s" == why(key)


def test_delayed_job_is_due_for_as_long_as_one_that_rested_and_then_lost(scene, verb, raising):
    def shown():
        worker = Announcement(worker="w", queues=("",), tasks={scene.spec.name: "1"}, slots=1)
        scene.store.announcements.announce(worker, 60.0)
        told = [json.loads(verb("show", key, "--json").stdout) for key in (rested, delayed)]
        return [(each["why"], each["lost"]) for each in told]

    rested = scene.answered({**ROW, "currency": "two"}, raising(Transient("http_503"))).key
    delayed = ask(scene, "one", countdown=5.0)
    scene.clock.advance(5)
    at_once = shown()
    scene.clock.advance(119)
    late = shown()
    scene.clock.advance(1)

    assert [("it is due: a worker sends it", False)] * 4 == at_once + late
    assert [("its message was lost: a worker sends it again", True)] * 2 == shown()


def test_running_job_says_where_and_since_when(scene, why):
    ask(scene, "one")
    key = run(scene)

    told = why(key)

    assert "it runs on host:7 since 2100-01-01T00:00:00+00:00, attempt 1; its lease ends in 30 s" in told


def test_job_of_a_lost_worker_says_so(scene, why):
    ask(scene, "one")
    key = run(scene)
    scene.clock.advance(90)

    assert "its worker is lost: the lease ended 60 s ago" in why(key)


def test_job_whose_message_was_lost_says_so(scene, why, worker):
    key = ask(scene, "one")
    scene.clock.advance(59)
    scene.store.announcements.announce(
        Announcement(worker="w", queues=("",), tasks={scene.spec.name: "1"}, slots=1), 60.0
    )
    scene.clock.advance(2)
    scene.deliver()

    assert "its message was lost: a worker sends it again" == why(key)


def test_job_whose_pause_is_over_is_due_and_not_lost(scene, verb, why, worker):
    key = ask(scene, "one")
    scene.store.controls.pause(Pause("task", scene.spec.name), "ana: stop")
    run(scene)
    scene.clock.advance(9)
    held = json.loads(verb("show", key, "--json").stdout)
    scene.store.controls.resume(Pause("task", scene.spec.name))

    due = json.loads(verb("show", key, "--json").stdout)

    assert [("paused", False), ("queued", False)] == [(each["state"], each["lost"]) for each in (held, due)]
    assert ("it is due: a worker sends it", "") == (due["why"], due["reason"])


def test_cancelled_job_says_so(scene, why):
    ask(scene, "one")
    running, queued = run(scene), ask(scene, "two")
    for key in (running, queued):
        scene.store.cancel(key)

    assert "it was cancelled: no other call follows" in why(running)
    assert why(queued).startswith("cancelled")


def test_since_is_when_a_job_ended(scene, verb, raising):
    def since(key):
        return json.loads(verb("show", key, "--json").stdout)["since"]

    cancelled, expired, failed = (ask(scene, name, expires=240.0) for name in ("one", "two", "three"))
    scene.clock.advance(60)
    scene.store.cancel(cancelled)
    scene.work(raising(Permanent("no_such_id")))
    dead = give_up(scene, raising)
    scene.clock.advance(60)
    ended = [since(each) for each in (cancelled, failed, dead)]
    scene.clock.advance(120)
    scene.work(lambda: pytest.fail("called"), number=1)

    assert ["2100-01-01T00:01:00+00:00"] * 3 == ended
    assert "2100-01-01T00:04:00+00:00" == since(expired)
    # Why it ended is not kept any more, and that it ended is.
    assert "2100-01-01T00:01:00+00:00" == since(cancelled)


def test_shown_job_has_the_version_of_its_task(scene, verb):
    scene.use(scene.store, replace(scene.spec, version="7"))

    assert "7" == json.loads(verb("show", ask(scene, "one"), "--json").stdout)["version"]


def test_answered_dead_and_unknown_jobs_say_how_they_ended(scene, verb, why, raising):
    answered, dead = scene.answered().key, give_up(scene, raising, reason="invalid_key")

    assert "its answer is kept since 2100-01-01T00:00:00+00:00, and fresh" in why(answered)
    assert why(dead).startswith("quarantined: invalid_key: ")
    unknown = verb("show", "0" * 64)
    assert (1, True) == (unknown.exit_code, "no record has this key" in unknown.stdout)


def test_job_of_another_application_is_shown(scene, run_verb):
    key = ask(scene, "one")
    stranger = Client(specs={}, store=scene.store, producer=scene.producer)

    told = run_verb(stranger, "jobs", "show", key)

    assert "this application has no task 'rates.fetch'" in told.stdout


def test_pause_holds_back_no_job_that_runs_or_is_done(scene, listed):
    scene.answered({**ROW, "currency": "done"})
    ask(scene, "one")
    run(scene)
    scene.store.controls.pause(Pause("all"), "ana: stop")

    assert {("running", None), ("done", None)} == {
        (each["state"], each["paused"]) for each in listed("--scan")
    }


def test_first_digits_name_a_job_in_flight_or_dead(scene, verb, raising):
    dead, queued = give_up(scene, raising), ask(scene, "one")

    told = verb("show", dead[:12], queued[:16], "--json")

    assert [dead, queued] == [json.loads(line)["key"] for line in told.stdout.splitlines()]


def test_first_digits_of_an_answered_job_name_nothing(scene, verb):
    told = verb("show", scene.answered().key[:16])

    assert (1, "") == (told.exit_code, told.stdout)
    assert "no job in flight or in quarantine; a kept answer has its whole key only" in told.stderr


@pytest.mark.parametrize("name", ["0" * 11, "z" * 64, "0" * 65, "0" * 63 + "g", "rates.fetch"])
def test_what_is_no_key_is_refused(verb, name):
    assert 2 == verb("show", name).exit_code


def test_all_key_fields_name_the_job_whatever_else_its_row_has(scene, verb):
    key = scene.answered({**ROW, "currency": "EUR"}).key

    told = verb("show", "rates.fetch", "currency=EUR", "--json")

    assert (key, "done") == (json.loads(told.stdout)["key"], json.loads(told.stdout)["state"])


def test_number_as_key_field_is_found(scene, verb):
    key = scene.answered({**ROW, "currency": 7}).key

    assert key == json.loads(verb("show", "rates.fetch", "currency=7", "--json").stdout)["key"]


def test_tenant_is_part_of_the_key_that_fields_name(scene, verb):
    key = ask(scene, "EUR", tenant="acme")

    assert 1 == verb("show", "rates.fetch", "currency=EUR").exit_code
    told = verb("show", "rates.fetch", "currency=EUR", "--tenant", "acme", "--json")
    assert key == json.loads(told.stdout)["key"]


def test_other_fields_find_jobs_in_flight_and_dead(scene, verb, raising):
    keys = {give_up(scene, raising), ask(scene, "one")}
    scene.ask({"currency": "two", "text": "another"})

    told = verb("show", "rates.fetch", f"text={MARKER}", "--json")

    assert keys == {json.loads(line)["key"] for line in told.stdout.splitlines()}


def test_fields_that_no_job_has_say_what_finds_an_answer(scene, verb):
    scene.answered()

    told = verb("show", "rates.fetch", "day=2026-11-20")

    assert 1 == told.exit_code
    assert "a kept answer is found by all key fields: currency" in told.stderr


def test_task_whose_input_wants_more_fields_finds_its_key(scene, verb):
    def read(row):
        wanted = {"currency", "text", "day"}
        if missing := wanted - row.keys():
            raise PayloadInvalid.of(dict.fromkeys(sorted(missing), "is missing"))
        return {**row, "currency": str(row["currency"]).strip().upper()}

    scene.use(scene.store, replace(scene.spec, input=read))
    key = scene.answered({"currency": "eur", "text": "a", "day": "b"}).key

    told = verb("show", "rates.fetch", "currency= eur ", "--json")

    assert key == json.loads(told.stdout)["key"]


def test_field_that_the_task_refuses_is_named(scene, verb):
    def read(row):
        if row.get("currency") != "EUR":
            raise PayloadInvalid(field="currency", reason="must be EUR")
        return row

    scene.use(scene.store, replace(scene.spec, input=read))

    told = verb("show", "rates.fetch", "currency=BRL")

    assert (2, True) == (told.exit_code, "rates.fetch: currency must be EUR" in told.stderr)


@pytest.mark.parametrize("words", [["no.task", "a=1"], ["rates.fetch", "a=1", "b"], ["rates.fetch", "=1"]])
def test_fields_that_cannot_be_meant_are_refused(verb, words):
    assert 2 == verb("show", *words).exit_code
