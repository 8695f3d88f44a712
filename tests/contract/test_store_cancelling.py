import pytest

from askonce.record import REASON_KEPT_FOR, Status
from askonce.store import Admission, Cancellation, Start, Write

# One suite for every store: a queued job is ended unpaid.


def test_cancelled_job_never_starts(scene):
    scene.admit()

    outcome = scene.cancel()
    scene.clock.advance(60)

    assert Cancellation.CANCELLED is outcome
    assert ("idle", "cancelled", "job-1") == (
        scene.read().flight,
        scene.read().failure.kind,
        scene.read().failure.job,
    )
    assert Start.SUPERSEDED is scene.start().outcome
    assert [] == scene.reap()


@pytest.mark.parametrize("rests_by", ["countdown", "failure", "park"])
def test_resting_job_is_cancelled(scene, rests_by):
    scene.admit(countdown=9.0 if rests_by == "countdown" else 0.0)
    if rests_by != "countdown":
        scene.start()
        scene.fail(after=9.0) if rests_by == "failure" else scene.park()

    assert Cancellation.CANCELLED is scene.cancel()
    scene.clock.advance(60)
    assert ([], Start.SUPERSEDED) == (scene.reap(), scene.start("owner-2").outcome)


def test_cancelled_payload_is_admitted_again_at_once(scene):
    scene.run()
    scene.fail(after=300.0)
    scene.cancel()

    reply = scene.admit("job-2")

    assert (Admission.ADMITTED, "job-2", None, 0) == (
        reply.outcome,
        reply.record.job,
        reply.record.failure,
        reply.record.attempts,
    )
    assert Start.GRANTED is scene.start("owner-2", "job-2").outcome


def test_message_of_a_cancelled_job_starts_no_later_one(scene):
    scene.admit()
    scene.cancel()
    scene.admit("job-2")

    assert Start.SUPERSEDED is scene.start("owner-1", "job-1").outcome
    assert Start.GRANTED is scene.start("owner-2", "job-2").outcome


def test_late_message_of_a_cancelled_job_finds_its_record(scene):
    scene.admit()
    scene.cancel()
    scene.clock.advance(3599)

    assert Start.SUPERSEDED is scene.start().outcome


def test_waiters_of_a_cancelled_job_get_why(scene, eventually):
    scene.admit()
    with scene.store.subscribe([scene.key]) as subscription:
        subscription.wait(0.05)
        scene.cancel()
        assert eventually(lambda: scene.key in subscription.wait(0.5))
    scene.clock.advance(REASON_KEPT_FOR - 1)

    assert "cancelled" == scene.read().failure.kind


def test_running_job_is_not_cancelled(scene):
    scene.run()
    before = scene.read()

    assert Cancellation.RUNNING is scene.cancel()
    assert before == scene.read()
    assert Write.OK is scene.complete()


def test_job_that_ended_is_not_cancelled(scene):
    scene.done()
    before = scene.read()

    assert Cancellation.IDLE is scene.cancel()
    assert before == scene.read()


def test_unknown_key_is_not_cancelled(scene):
    assert Cancellation.ABSENT is scene.cancel()
    assert not scene.read().present


def test_last_good_answer_outlives_a_cancelled_refresh(scene):
    scene.done()
    scene.clock.advance(60)
    scene.admit("job-2")
    scene.cancel()

    assert Status.STALE is scene.read().status
    assert Admission.ADMITTED is scene.admit("job-3").outcome


@pytest.mark.parametrize(
    ("callers", "by", "outcome"),
    [
        (["night"], "night", Cancellation.CANCELLED),
        (["night", "night"], "night", Cancellation.CANCELLED),
        (["night"], "day", Cancellation.SHARED),
        (["night", "day"], "night", Cancellation.SHARED),
        (["night", "day"], "day", Cancellation.SHARED),
        (["night", ""], "night", Cancellation.SHARED),
        (["", "night"], "night", Cancellation.SHARED),
        (["night", "day", "night"], "night", Cancellation.SHARED),
        (["night", "day"], None, Cancellation.CANCELLED),
        ([""], "", Cancellation.CANCELLED),
    ],
)
def test_run_cancels_only_jobs_of_its_own(scene, callers, by, outcome):
    for n, run in enumerate(callers):
        scene.admit(f"job-{n}", run=run)
    before = scene.read()

    assert outcome is scene.cancel(by)
    if outcome is Cancellation.SHARED:
        assert before == scene.read()


def test_job_resent_by_another_run_is_shared(scene):
    scene.admit(run="night")
    scene.clock.advance(60)
    scene.deliver()
    assert Admission.RESEND is scene.admit("job-2", run="day").outcome

    assert Cancellation.SHARED is scene.cancel("night")


def test_next_job_of_a_key_is_shared_by_no_earlier_run(scene):
    scene.admit("job-1", run="night")
    scene.admit("job-2", run="day")
    scene.cancel()
    scene.admit("job-3", run="day")

    assert Cancellation.CANCELLED is scene.cancel("day")
