from dataclasses import replace

import pytest

from askonce import bill
from askonce.flights import Names
from askonce.record import BUCKETS, REASON_KEPT_FOR
from askonce.spend import Spend
from tests.contract.key_under_test import BUCKET

# One suite for every store: what an operator's list of jobs is made of.

ORDERS = Names("orders")
CENTS = Spend(usage={"input_tokens": 7}, cost_usd=0.000213)
PAYLOAD = b'{"id":"7","part":{"n":2},"n":1,"text":"say \\"id\\":\\"8\\""}'


def all_keys(scene):
    return sorted(key for step in scene.store.flights.walk() for key in step)


def test_only_jobs_in_flight_are_counted_and_named(scene):
    scene.run()
    done, other = scene.at("0a" + "1" * 62), scene.at("ff" + "0" * 62)
    done.done()
    other.admit()

    counts = scene.store.flights.counts()

    assert (BUCKETS, 1, 1, 2) == (len(counts), counts[BUCKET], counts[0xFF], sum(counts))
    assert [scene.key] == scene.store.flights.keys([BUCKET])
    assert [scene.key, other.key] == scene.store.flights.keys([BUCKET, 0xFF])
    assert [] == scene.store.flights.keys([])


def test_walk_meets_every_record(scene):
    scene.run()
    done = scene.at("0a" + "1" * 62)
    done.done()

    assert [scene.key, done.key] == all_keys(scene)


def test_shown_record_is_the_one_that_read_returns_without_data(scene):
    scene.admit(tenant="acme", model="m", run="night")
    scene.start()
    scene.complete()
    scene.admit("job-2", tenant="acme", model="m", run="night", force=True)
    scene.start("owner-2", "job-2")
    scene.park("owner-2")
    absent = "0b" + "0" * 62

    read, [shown, nothing] = scene.read(), scene.store.flights.show([scene.key, absent])

    assert (b"", read.value.meta) == (shown.value.data, shown.value.meta)
    assert read == shown._replace(value=read.value)
    assert ("acme", "m", "night", "http_429") == (shown.tenant, shown.model, shown.run, shown.parked.reason)
    assert not nothing.present


def test_shown_failure_has_its_cost_and_no_substitute(scene):
    scene.run()
    scene.fail(kind="fallback", data=b"j1", spent=bill.encode("job-1", 1, CENTS))

    read, [shown] = scene.read(), scene.store.flights.show([scene.key])

    assert CENTS == shown.failure.spend.own
    assert replace(read.failure, fallback=None) == shown.failure
    assert read == shown._replace(failure=read.failure)


def test_shown_record_says_when_its_answer_was_removed(scene):
    scene.done()
    scene.invalidate()

    read, [shown] = scene.read(), scene.store.flights.show([scene.key])

    assert 0 < read.removed_at == shown.removed_at


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"id": "7"}, True),
        ({"id": "7", "n": 1}, True),
        ({"id": "7", "n": 2}, False),
        ({"id": "8"}, False),
        ({"id": 7}, False),
        ({"ID": "7"}, False),
    ],
    ids=str,
)
def test_job_is_found_by_fields_of_its_payload(scene, fields, found):
    scene.admit(payload=PAYLOAD)

    assert [scene.key] * found == scene.store.flights.find([BUCKET], ORDERS, fields)
    assert [] == scene.store.flights.find([BUCKET], Names("meetings"), fields)
    assert [] == scene.store.flights.find([BUCKET + 1], ORDERS, fields)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (Names(), True),
        (Names("orders", "acme", "night"), True),
        (Names(tenant="acme"), True),
        (Names(run="night"), True),
        (Names("meetings", "acme", "night"), False),
        (Names(tenant="acm"), False),
        (Names(run=""), False),
        (Names(tenant=""), False),
    ],
    ids=str,
)
def test_job_is_found_by_its_names(scene, names, found):
    scene.admit(tenant="acme", run="night")
    scene.at("0a" + "1" * 62).done()

    assert [scene.key] * found == scene.store.flights.find([BUCKET], names)


def test_job_without_tenant_and_run_is_found_by_none_of_them(scene):
    scene.admit()

    assert [scene.key] == scene.store.flights.find([BUCKET], Names(tenant="", run=""))
    assert [] == scene.store.flights.find([BUCKET], Names(tenant="acme"))


def test_quarantined_job_is_found_and_a_finished_one_is_not(scene):
    scene.admit(payload=PAYLOAD, max_attempts=1)
    scene.start()
    scene.fail()

    assert [scene.key] == scene.store.flights.find([BUCKET], ORDERS, {"id": "7"})
    scene.store.invalidate(scene.key)
    assert [] == scene.store.flights.find([BUCKET], ORDERS, {"id": "7"})


#: How a job that runs, or one that is queued, ends without an answer.
ENDS = {
    "permanent": lambda scene: scene.fail(kind="permanent", keep=900.0),
    "dead": lambda scene: scene.fail(),
    "fallback": lambda scene: scene.fail(kind="fallback", data=b"j1"),
    "at rest": lambda scene: scene.fail(quarantine=False, after=9.0),
    "cancelled": lambda scene: (scene.invalidate(), scene.admit(), scene.cancel()),
}


@pytest.mark.parametrize("end", ENDS)
def test_shown_record_says_when_its_job_ended_without_an_answer(scene, end):
    scene.run(max_attempts=1)
    scene.clock.advance(7)
    ENDS[end](scene)
    ended = scene.read().now / 1000
    scene.clock.advance(60)

    [shown] = scene.store.flights.show([scene.key])

    assert ("idle", ended, ended) == (shown.flight, shown.ended_at, scene.read().ended_at)


def test_end_is_known_after_its_reason_and_not_where_there_was_an_answer(scene):
    answered = scene.at("0a" + "1" * 62)
    scene.admit()
    scene.cancel()
    answered.done()
    ended = scene.read().now / 1000
    scene.clock.advance(REASON_KEPT_FOR + 1)

    shown, done = scene.store.flights.show([scene.key, answered.key])

    assert (None, ended, 0.0) == (shown.failure, shown.ended_at, done.ended_at)


def test_shown_record_has_the_version_of_its_task(scene):
    scene.admit(version="7")

    [shown] = scene.store.flights.show([scene.key])

    assert ("7", "7") == (shown.version, scene.read().version)


def test_shown_record_says_until_when_its_start_was_put_off(scene):
    scene.admit(countdown=30.0)
    admitted = scene.read().now / 1000
    scene.clock.advance(30)
    other = scene.at("0a" + "1" * 62)
    other.admit()

    [delayed, at_once] = scene.store.flights.show([scene.key, other.key])

    assert (0.0, pytest.approx(admitted + 30, abs=1)) == (at_once.due_at, delayed.due_at)
    assert delayed.due_at == scene.read().due_at
