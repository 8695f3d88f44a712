import pytest

from askonce.cancel import cancel_keys, cancel_run
from askonce.record import CANCEL_LOOKS, REASON_KEPT_FOR, Status
from askonce.store import Admission, Cancellation, Start
from askonce.tally import Counter
from tests.deadlines import stretched

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


RUN = {"run": "night", "task": "orders"}


@pytest.fixture
def fleet(scene):
    """Admit one job for each number, spread over all buckets."""

    def admit(number, **more):
        found = scene.at(f"{number % 256:02x}{number:062x}")
        found.admit(f"job-{number}", **{**RUN, **more})
        return found

    return admit


def test_cancelled_run_takes_its_own_queued_jobs_and_no_others(scene, fleet):
    own = [fleet(number) for number in range(300)]
    shared = [fleet(number) for number in range(300, 320)]
    for number, each in enumerate(shared, 300):
        each.admit(f"other-{number}", run="day", task="orders")
    running = [fleet(number) for number in range(320, 330)]
    for number, each in enumerate(running, 320):
        each.start(job=f"job-{number}")
    others = [fleet(400, run="day"), fleet(401, run=""), fleet(402, run="night shift")]
    fleet(403, run="day").admit("late", **RUN)

    counts = cancel_run(scene.store, "night")

    assert {Cancellation.CANCELLED: 300, Cancellation.SHARED: 20, Cancellation.RUNNING: 10} == counts
    assert {"cancelled"} == {each.read().failure.kind for each in own}
    assert [None] * 23 == [each.read().failure for each in (*shared, *others)]
    assert [True] * 10 == [each.read().is_cancelled for each in running]
    assert {Cancellation.SHARED: 20, Cancellation.RUNNING: 10} == cancel_run(scene.store, "night")


def test_whole_bucket_is_walked_in_bounded_steps(scene):
    jobs = [scene.at(f"0a{number:062x}") for number in range(5 * CANCEL_LOOKS)]
    for number, each in enumerate(jobs):
        each.admit(f"job-{number}", run="night" if number % 5 else "day")

    counts = cancel_run(scene.store, "night")

    assert {Cancellation.CANCELLED: 4 * CANCEL_LOOKS} == counts
    assert CANCEL_LOOKS == sum(each.read().flight == "queued" for each in jobs)


def test_cancelled_run_wakes_its_waiters(scene, fleet):
    job = fleet(0)
    with scene.store.subscribe([job.key]) as subscription:
        subscription.wait(0.05)
        cancel_run(scene.store, "night")
        woken = subscription.wait(stretched(5))

    assert {job.key} == woken


def test_cancelled_run_is_counted(scene, fleet):
    fleet(0)
    fleet(1)
    cancel_run(scene.store, "night")

    assert 2 == scene.store.tally.totals()[Counter("orders", "", "", "cancelled")]


def test_run_without_a_name_is_no_run(scene, fleet):
    fleet(0, run="")

    with pytest.raises(ValueError, match="a run has a name"):
        cancel_run(scene.store, "")


def test_keys_are_cancelled_each_by_its_own_state(scene, fleet):
    queued, running, shared = fleet(0), fleet(1), fleet(2)
    running.start(job="job-1")
    shared.admit("other", run="day", task="orders")
    keys = [queued.key, running.key, shared.key, "ff" * 32]

    of_run = dict(cancel_keys(scene.store, keys, "night"))
    of_any = dict(cancel_keys(scene.store, keys))

    expected = [Cancellation.CANCELLED, Cancellation.RUNNING, Cancellation.SHARED, Cancellation.ABSENT]
    assert dict(zip(keys, expected, strict=True)) == of_run
    assert {**of_run, shared.key: Cancellation.CANCELLED} == of_any
