"""What the attempts of a job cost so far: kept with their failures, and read by the next one."""

import pytest

from askonce import bill
from askonce.spend import NOTHING, Spend

CENTS = Spend(usage={"input_tokens": 7}, cost_usd=0.000213)
UNKNOWN = Spend()


def failed(scene, owner="owner-1", attempts=1, *, job="job-1", **more):
    """Fail an attempt, after which so many cost *CENTS*."""
    return scene.fail(owner, after=9.0, spent=bill.encode(job, attempts, CENTS), **more)


def next_attempt(scene, owner="owner-2", job="job-1"):
    scene.clock.advance(10.0)
    return scene.start(owner, job).record


def test_first_attempt_begins_with_nothing(scene):
    assert scene.run().record.spent == NOTHING


def test_next_attempt_gets_what_the_first_one_cost(scene):
    scene.run()
    failed(scene)

    record = next_attempt(scene)

    assert (record.attempts, record.spent) == (2, CENTS)
    assert scene.start("owner-2").record.spent == CENTS, "the reply to a repeated start"


def test_next_attempt_gets_it_when_the_reason_is_forgotten(scene):
    scene.run()
    failed(scene, keep=5.0)
    scene.clock.advance(100.0)

    record = next_attempt(scene)

    assert (record.failure, record.spent) == (None, CENTS)


def test_only_a_start_that_is_granted_shows_it(scene):
    scene.run()
    failed(scene)
    next_attempt(scene)

    shown = [scene.start("owner-3").record, scene.admit("job-2").record, scene.read()]

    assert [record.spent for record in shown] == [NOTHING] * 3


def test_failure_has_what_the_attempts_that_ended_cost(scene):
    scene.run()
    told = failed(scene).record
    next_attempt(scene)

    assert [told.failure.spend, scene.read().failure.spend] == [CENTS] * 2


@pytest.mark.parametrize("kind", ["permanent", "configuration", "cancelled"])
def test_failure_that_ends_the_job_has_its_cost(scene, kind):
    scene.run()

    told = failed(scene, kind=kind).record

    assert [told.failure.spend, scene.read().failure.spend] == [CENTS] * 2


def test_kept_failure_answers_with_its_cost(scene):
    scene.run()
    failed(scene, kind="permanent")

    assert scene.admit("job-2").record.failure.spend == CENTS
    assert scene.start("owner-2").record.failure.spend == CENTS


def test_quarantined_job_is_shown_with_its_cost(scene):
    scene.run(max_attempts=1)

    failed(scene)

    assert scene.show().spend == scene.read().failure.spend == CENTS


def lost(scene):
    scene.run()
    failed(scene)
    next_attempt(scene)
    scene.clock.advance(31.0)


def test_cost_is_unknown_after_a_worker_was_lost(scene):
    lost(scene)

    assert scene.start("owner-3").record.spent == UNKNOWN


def test_cost_is_unknown_after_a_lost_worker_was_reaped(scene):
    lost(scene)
    scene.resend()

    assert scene.start("owner-3").record.spent == UNKNOWN


def test_quarantined_job_whose_last_worker_was_lost_has_no_known_cost(scene):
    scene.run(max_attempts=2)
    failed(scene)
    next_attempt(scene)
    scene.clock.advance(31.0)
    scene.reap()

    assert scene.show().spend == scene.read().failure.spend == UNKNOWN


def test_cost_is_unknown_after_a_failure_of_an_older_version(scene):
    scene.run()
    scene.fail(after=9.0)

    assert next_attempt(scene).spent == UNKNOWN


def test_job_put_back_keeps_what_its_attempts_cost(scene):
    scene.run()
    failed(scene)
    next_attempt(scene)
    scene.park("owner-2", after=9.0)

    record = next_attempt(scene, "owner-3")

    assert (record.attempts, record.spent) == (2, CENTS)


def test_job_put_back_before_its_first_attempt_costs_nothing(scene):
    scene.run()
    scene.park(after=9.0)

    assert next_attempt(scene).spent == NOTHING


def test_job_put_back_has_what_it_caused_to_be_paid(scene):
    scene.run()
    scene.park(after=9.0, spent=bill.encode("job-1", 0, CENTS))

    record = next_attempt(scene)

    assert (record.attempts, record.spent) == (1, CENTS)


@pytest.mark.parametrize("when", ["under way", "at rest"])
def test_cancelled_job_has_what_it_caused_to_be_paid_before_it_was_put_back(scene, when):
    scene.run()
    if when == "under way":
        scene.cancel()
    scene.park(after=9.0, spent=bill.encode("job-1", 0, CENTS))
    if when == "at rest":
        scene.cancel()

    assert (scene.read().attempts, scene.read().failure.spend) == (0, CENTS)
    scene.admit("job-2")
    assert scene.start("owner-2", "job-2").record.spent == NOTHING


def test_cost_of_a_job_put_back_and_of_a_lost_attempt_is_unknown(scene):
    scene.run()
    scene.park(after=9.0, spent=bill.encode("job-1", 0, CENTS))
    next_attempt(scene)
    scene.clock.advance(31.0)

    assert scene.start("owner-3").record.spent == UNKNOWN


@pytest.mark.parametrize("run_out", ["expires", "cancel"])
def test_job_that_ends_unrun_has_what_its_attempts_cost(scene, run_out):
    scene.run(expires=60.0)
    failed(scene)
    if run_out == "cancel":
        scene.cancel()
    else:
        scene.clock.advance(61.0)
        scene.start("owner-2")

    assert scene.read().failure.spend == CENTS


def test_undeliverable_job_that_is_taken_up_again_keeps_its_cost(scene):
    scene.run()
    failed(scene)
    for _ in range(6):
        scene.clock.advance(3600.0)
        scene.resend()
    assert scene.show().reason == "undeliverable"

    record = scene.start("owner-2").record

    assert (record.attempts, record.spent) == (2, CENTS)


def done(scene):
    failed(scene)
    next_attempt(scene)
    scene.complete("owner-2")


def ended(scene):
    failed(scene, kind="permanent")


def invalidated(scene):
    failed(scene)
    scene.invalidate()


@pytest.mark.parametrize("end", [done, ended, invalidated])
@pytest.mark.parametrize("job", ["job-1", "job-2"])
def test_job_asked_again_after_its_end_begins_with_nothing(scene, end, job):
    scene.run()
    end(scene)

    scene.admit(job, force=True)
    first = scene.start("owner-4", job).record
    scene.clock.advance(31.0)

    assert first.spent == NOTHING
    assert scene.start("owner-5", job).record.spent == UNKNOWN, "nothing is left of the job before"


def test_payload_that_takes_the_key_over_begins_with_nothing(scene):
    scene.run()
    failed(scene)

    scene.admit("job-2", "fp-2")

    assert scene.start("owner-2", "job-2", "fp-2").record.spent == NOTHING


def test_failure_of_an_owner_that_was_overtaken_changes_no_cost(scene):
    scene.run()
    failed(scene)
    next_attempt(scene)

    failed(scene, "owner-1", 3)

    scene.clock.advance(31.0)
    assert scene.start("owner-3").record.spent == UNKNOWN
