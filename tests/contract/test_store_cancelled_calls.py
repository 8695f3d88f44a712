import pytest

from askonce.cancel import cancel_run
from askonce.controls import Pause
from askonce.record import FLIGHT_KEPT, REASON_KEPT_FOR, Status
from askonce.store import Admission, Cancellation, Parking, Renewal, Start, Write
from askonce.tally import Book, Counter
from tests.deadlines import stretched

# One suite for every store: the call that is under way when its job is cancelled is the job's last.

BOOK = Book("orders", "", "", (("calls", 1), ("micro_usd", 7)))


@pytest.fixture
def cancelled(scene):
    """Start a job of the run, and cancel it while its call is under way."""

    def begin(**terms):
        scene.run(**{"run": "night", **terms})
        assert Cancellation.RUNNING is scene.cancel()

    return begin


def lose(scene):
    """Let the lease run out."""
    scene.clock.advance(30)


#: What would queue the job again, and what it replies.
WAYS = {
    "a failure for now": (lambda scene: scene.fail(after=9.0).outcome, Write.OK),
    "a lease given back": (lambda scene: scene.park(), Parking.CANCELLED),
    "a lease given back for too long": (lambda scene: scene.park(within=0.0), Parking.CANCELLED),
    "a reaper": (lambda scene: (lose(scene), scene.reap())[1], []),
    "a second worker": (lambda scene: (lose(scene), scene.start("owner-2").outcome)[1], Start.UNRUN),
    "a caller": (lambda scene: (lose(scene), scene.admit("job-2").outcome)[1], Admission.ADMITTED),
}


@pytest.fixture(params=[way for way in WAYS if way != "a caller"])
def way(request):
    return WAYS[request.param]


def test_cancelled_call_that_gives_no_answer_is_the_last(scene, cancelled, way):
    end, expected = way
    cancelled()

    assert expected == end(scene)

    seen = scene.read()
    assert ("idle", "cancelled", "cancelled", "job-1") == (
        seen.flight,
        seen.failure.kind,
        seen.failure.reason,
        seen.failure.job,
    )
    scene.clock.advance(REASON_KEPT_FOR - 1)
    assert "cancelled" == scene.read().failure.kind
    assert ([], Start.SUPERSEDED) == (scene.reap(), scene.start("owner-3").outcome)
    assert Admission.ADMITTED is scene.admit("job-2").outcome


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_cancelled_call_that_gives_no_answer_is_counted_once(scene, cancelled, way):
    cancelled()
    way[0](scene)

    counted = scene.store.tally.totals()
    assert 1 == counted[Counter("orders", "", "", "cancelled")]


def test_cancelled_call_that_gives_no_answer_wakes_its_waiters(scene, cancelled, way):
    cancelled()
    with scene.store.subscribe([scene.key]) as subscription:
        subscription.wait(0.05)
        way[0](scene)
        assert {scene.key} == subscription.wait(stretched(5))


def test_cancelled_call_that_is_answered_keeps_its_answer(scene, cancelled):
    cancelled()

    assert Write.OK is scene.complete(book=BOOK)
    seen = scene.read()
    assert (Status.DONE, None) == (seen.status, seen.failure)


def test_failure_of_a_cancelled_call_books_what_was_paid(scene, cancelled):
    cancelled()
    scene.fail(book=BOOK)
    scene.fail(book=BOOK)

    assert 7 == scene.store.tally.totals()[Counter("orders", "", "", "micro_usd")]


@pytest.mark.parametrize("kind", ["permanent", "configuration", "fallback"])
def test_cancelled_call_that_ends_its_job_by_itself_says_why(scene, cancelled, kind):
    cancelled()
    scene.fail(kind=kind, data=b"j0" if kind == "fallback" else None)

    assert ("idle", kind) == (scene.read().flight, scene.read().failure.kind)


@pytest.mark.parametrize("way", ["a failure for now", "a reaper", "a second worker", "a caller"])
def test_cancelled_call_of_the_last_attempt_is_quarantined(scene, cancelled, way):
    cancelled(max_attempts=1)
    WAYS[way][0](scene)

    assert "quarantined" == scene.read().failure.kind


def test_report_of_a_cancelled_call_may_be_repeated(scene, cancelled):
    cancelled()
    first = scene.fail()

    assert first == scene.fail()


def test_cancelled_lease_may_be_given_back_twice(scene, cancelled):
    cancelled()

    assert (Parking.CANCELLED, Parking.CANCELLED) == (scene.park(), scene.park())
    assert (0, Parking.FENCED) == (scene.read().attempts, scene.park("owner-2"))


def test_call_is_cancelled_once_however_often_somebody_asks(scene, cancelled):
    cancelled()
    scene.clock.advance(1)
    before = scene.read()._replace(now=0, failure=None)

    assert Cancellation.RUNNING is scene.cancel()
    assert before == scene.read()._replace(now=0, failure=None)
    assert FLIGHT_KEPT - 1 == scene.read().failure.remaining


def test_record_shows_that_its_call_is_the_last(scene, cancelled):
    cancelled()

    assert (Status.RUNNING, True) == (scene.read().status, scene.read().is_cancelled)
    scene.fail()
    assert not scene.read().is_cancelled


def test_cancelled_call_goes_on_with_its_lease(scene, cancelled):
    cancelled()
    scene.clock.advance(20)

    assert Renewal.CANCELLED is scene.renew()
    assert Start.BUSY is scene.start("owner-2").outcome
    scene.clock.advance(20)
    assert Write.OK is scene.complete()


def test_renewal_tells_of_a_cancel_to_the_job_that_it_ends_alone(scene, cancelled):
    neighbour = scene.at(scene.key[:-1] + "1")
    cancelled()
    neighbour.run()

    outcomes = scene.store.renew([scene.lease(), neighbour.lease(), scene.lease("owner-2")])

    assert [Renewal.CANCELLED, Renewal.OK, Renewal.FENCED] == outcomes


def test_renewal_tells_no_more_of_a_cancel_once_a_caller_asked(scene, cancelled):
    cancelled()
    assert Renewal.CANCELLED is scene.renew()

    scene.admit("job-2")

    assert Renewal.OK is scene.renew()


@pytest.mark.parametrize("end", ["answered", "given back"])
def test_renewal_of_the_next_job_of_a_key_tells_of_no_cancel(scene, cancelled, end):
    cancelled()
    {"answered": lambda: scene.complete(soft=1.0), "given back": scene.park}[end]()
    scene.clock.advance(1)
    scene.run("owner-2", "job-2")

    assert Renewal.OK is scene.renew("owner-2")


@pytest.mark.parametrize("run", ["night", "day", ""])
def test_caller_who_asks_after_the_cancel_gets_the_next_call(scene, cancelled, run):
    cancelled()

    reply = scene.admit("job-2", run=run)

    assert (Admission.ATTACHED, "job-1", None) == (
        reply.outcome,
        reply.record.job,
        reply.record.failure,
    )
    scene.fail(after=0.0)
    assert Start.GRANTED is scene.start("owner-2").outcome


def test_caller_who_rejects_duplicates_does_not_undo_a_cancel(scene, cancelled):
    cancelled()
    scene.admit("job-2", reject=True)

    assert scene.read().is_cancelled


def test_job_may_be_cancelled_again_after_a_caller_asked(scene, cancelled):
    cancelled()
    scene.admit("job-2", run="night")
    scene.cancel("night")

    assert scene.read().is_cancelled


def test_caller_of_a_cancelled_call_whose_worker_is_lost_gets_a_new_job(scene, cancelled):
    cancelled(job="job-1")
    lose(scene)

    reply = scene.admit("job-2")

    assert (Admission.ADMITTED, "job-2", 0, None) == (
        reply.outcome,
        reply.record.job,
        reply.record.attempts,
        reply.record.failure,
    )
    assert Start.SUPERSEDED is scene.start("owner-2", "job-1").outcome
    assert Start.GRANTED is scene.start("owner-2", "job-2").outcome


def test_next_job_of_a_key_is_not_cancelled(scene, cancelled):
    cancelled()
    scene.complete(soft=1.0)
    scene.clock.advance(1)
    scene.run("owner-2", "job-2")

    scene.fail("owner-2", after=0.0)

    assert Start.GRANTED is scene.start("owner-3", "job-2").outcome


def test_cancelled_call_whose_worker_is_lost_is_still_answered_by_it(scene, cancelled):
    cancelled()
    lose(scene)
    scene.reap()

    assert Write.OK is scene.complete()
    assert Status.DONE is scene.read().status


def test_pause_does_not_keep_a_cancelled_job(scene, cancelled):
    cancelled()
    scene.store.controls.pause(Pause("task", "orders"), "ana: why")
    lose(scene)

    assert Start.UNRUN is scene.start("owner-2", returns=True).outcome
    assert "cancelled" == scene.read().failure.kind


def test_cancelled_run_cancels_the_calls_that_no_other_run_shares(scene):
    own, shared, other = (scene.at(f"{n:02x}{n:062x}") for n in range(3))
    for n, (each, run) in enumerate(zip((own, shared, other), ("night", "night", "day"), strict=True)):
        each.run(f"owner-{n}", f"job-{n}", run=run)
    shared.admit("late", run="day")

    counts = cancel_run(scene.store, "night")

    assert {Cancellation.RUNNING: 1, Cancellation.SHARED: 1} == counts
    assert [True, False, False] == [each.read().is_cancelled for each in (own, shared, other)]
    assert Cancellation.SHARED is shared.cancel("night")
    assert not shared.read().is_cancelled
