import pytest

from askonce.answer import Meta
from askonce.record import Status
from askonce.store import Admission, Start, Write
from askonce.tally import Book

# One suite for every store: what a failure means for its job and for the next caller.


def test_transient_failure_rests_and_is_tried_again(scene):
    scene.run()

    reply = scene.fail(after=9.0, keep=120.0)
    resting = scene.start("owner-2")
    scene.clock.advance(9)
    again = scene.start("owner-2")

    assert (Write.OK, "queued", 9.0) == (reply.outcome, reply.record.flight, reply.record.wait)
    assert ("transient", "http_503", 129.0) == (
        reply.record.failure.kind,
        reply.record.failure.reason,
        reply.record.failure.remaining,
    )
    assert (Start.BACKOFF, 9.0) == (resting.outcome, resting.record.wait)
    assert (Start.GRANTED, 2) == (again.outcome, again.record.attempts)


def test_transient_failure_leaves_the_old_answer_and_attaches(scene):
    scene.done()
    scene.clock.advance(60)
    scene.run("owner-2", "job-2")

    scene.fail("owner-2", after=9.0)
    reply = scene.admit("job-3")

    assert (Admission.ATTACHED, b'j"answer"') == (reply.outcome, reply.record.value.data)


def test_spent_attempts_are_quarantined(scene):
    scene.run(max_attempts=2)
    scene.fail()
    scene.start("owner-2")

    reply = scene.fail("owner-2", reason="http_500")

    assert ("idle", Status.QUARANTINED) == (reply.record.flight, reply.record.status)
    assert ("quarantined", "http_500", "job-1") == (
        reply.record.failure.kind,
        reply.record.failure.reason,
        reply.record.failure.job,
    )
    assert (Admission.NEGATIVE, Start.NEGATIVE) == (
        scene.admit("job-2").outcome,
        scene.start("owner-3").outcome,
    )


def test_failure_may_say_how_often_its_job_is_attempted(scene):
    scene.run(max_attempts=1)

    more = scene.fail(max_attempts=2)
    scene.start("owner-2")
    again = scene.fail("owner-2")

    assert "queued" == more.record.flight
    assert "quarantined" == again.record.failure.kind


def test_failure_may_end_the_attempts_of_its_job(scene):
    scene.run(max_attempts=9)

    spent = scene.fail(max_attempts=1)

    assert ("idle", Status.QUARANTINED) == (spent.record.flight, spent.record.status)


def test_attempts_that_a_failure_allows_hold_after_a_lost_worker(scene):
    scene.run(max_attempts=1)
    scene.fail(max_attempts=3)
    scene.start("owner-2")
    scene.clock.advance(31)
    scene.resend()

    assert (Start.GRANTED, 3) == (scene.start("owner-3").outcome, scene.read().attempts)


def test_job_that_its_body_cancels_ends_and_may_be_made_again(scene):
    scene.run()

    reply = scene.fail(kind="cancelled", reason="ignored", keep=60.0)

    assert ("idle", "cancelled", "ignored") == (
        reply.record.flight,
        reply.record.failure.kind,
        reply.record.failure.reason,
    )
    assert Admission.ADMITTED is scene.admit("job-2").outcome


def test_quarantine_lasts_a_week_and_then_the_key_is_free(scene):
    scene.quarantined()
    scene.clock.advance(7 * 86400 - 0.001)
    before = scene.admit("job-2")
    scene.clock.advance(0.001)

    assert (Admission.NEGATIVE, Admission.ADMITTED) == (before.outcome, scene.admit("job-2").outcome)


def test_spent_attempts_without_quarantine_rest_and_free_the_key(scene):
    scene.run(max_attempts=1)

    reply = scene.fail(after=300.0, keep=300.0, quarantine=False)
    resting = scene.admit("job-2")
    scene.clock.advance(300)
    free = scene.admit("job-2")

    assert ("idle", "transient") == (reply.record.flight, reply.record.failure.kind)
    assert (Admission.BACKOFF, 300.0) == (resting.outcome, resting.record.wait)
    assert (Admission.ADMITTED, 0) == (free.outcome, free.record.attempts)


def test_permanent_failure_answers_until_it_is_over(scene):
    scene.run()

    reply = scene.fail(kind="permanent", reason="http_400", keep=120.0)
    scene.clock.advance(119.999)
    before = scene.admit("job-2")
    scene.clock.advance(0.001)

    assert (Status.FAILED, 120.0) == (reply.record.status, reply.record.failure.remaining)
    assert (Admission.NEGATIVE, "http_400") == (before.outcome, before.record.failure.reason)
    assert Admission.ADMITTED is scene.admit("job-2").outcome


@pytest.mark.parametrize("kind", ["configuration", "fallback"])
def test_failure_of_another_kind_answers_its_own_job_only(scene, kind):
    scene.run()

    scene.fail(kind=kind, reason="http_401", keep=120.0)
    seen = scene.read()
    reply = scene.admit("job-2")

    assert (kind, "job-1", "idle") == (seen.failure.kind, seen.failure.job, seen.flight)
    assert Status.ABSENT is seen.status
    assert (Admission.ADMITTED, None) == (reply.outcome, reply.record.failure)


def test_fallback_reaches_the_waiters_and_is_never_the_answer(scene):
    scene.run()

    meta = Meta(source="default", attempts=2)

    reply = scene.fail(kind="fallback", data=b'j"Desconhecido"', meta=meta.encode(), keep=120.0)

    assert b'j"Desconhecido"' == reply.record.failure.fallback.data
    assert meta == reply.record.failure.fallback.meta
    assert (None, False) == (scene.read().value, scene.read().failure.fallback.fresh)
    assert b'j"Desconhecido"' == scene.read().failure.fallback.data


def test_answer_clears_the_failure_before_it(scene):
    scene.run()
    scene.fail(after=0.0)
    scene.start("owner-2")
    scene.complete("owner-2")

    assert (Status.DONE, None) == (scene.read().status, scene.read().failure)


def test_job_admitted_after_one_that_expired_begins_without_its_failure(scene):
    scene.admit("job-1", expires=5.0)
    scene.clock.advance(6)

    reply = scene.admit("job-2")

    assert (Admission.ADMITTED, None) == (reply.outcome, scene.read().failure)


@pytest.mark.parametrize("max_attempts", [1, 3])
def test_payment_of_a_stalled_owner_is_booked_once_after_its_job_ended(scene, max_attempts):
    book = Book("orders", "", "", (("calls", 1), ("micro_usd", 12)))
    scene.run(max_attempts=max_attempts)
    scene.clock.advance(30)
    scene.reap()
    scene.cancel()

    replies = [scene.fail(kind="permanent", book=book) for _ in range(2)]

    assert [Write.FENCED] * 2 == [reply.outcome for reply in replies]
    counted = {counter.what: amount for counter, amount in scene.store.tally.totals().items()}
    assert (1, 12, 0) == (counted["calls"], counted["micro_usd"], counted["in_doubt"])
