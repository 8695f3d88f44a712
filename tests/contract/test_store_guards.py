from askonce.controls import Mark, Pause
from askonce.job import Routing
from askonce.record import MAX_RESENDS, Status
from askonce.store import Admission, Cancellation, Parking, Start, Write
from askonce.tally import Book

# One suite for every store: what each guard of the verbs prevents, one test for a guard.

BOOK = Book("orders", "", "", (("calls", 1), ("micro_usd", 7)))
SLOW = Routing("slow", 3)


def totals(scene):
    """Return what was counted, by its name alone."""
    return {counter.what: amount for counter, amount in scene.store.tally.totals().items()}


def test_job_that_waits_in_its_queue_is_not_sent_again(scene):
    scene.admit()
    scene.clock.advance(60)

    assert [] == scene.reap(delivered=[])
    assert Admission.ATTACHED is scene.admit("job-2").outcome
    scene.clock.advance(60)
    assert ["job-1"] == [lost.job.id for lost in scene.reap()]


def test_progress_of_one_priority_proves_nothing_of_another(scene):
    scene.admit(routing=SLOW)
    scene.clock.advance(60)
    scene.deliver("slow", 0)

    assert [] == scene.reap(delivered=[])
    scene.deliver("slow", 3)
    scene.clock.advance(60)
    assert ["job-1"] == [lost.job.id for lost in scene.reap(delivered=[])]


def test_hand_out_alone_never_uses_up_the_resends(scene):
    scene.admit()
    scene.clock.advance(60)
    for _ in range(MAX_RESENDS + 2):
        [lost] = scene.reap()
        assert 0 == lost.resent
        scene.clock.advance(60)

    assert (Status.QUEUED, 0) == (scene.read().status, scene.read().resent)


def test_parked_run_uses_no_attempt(scene):
    scene.run(max_attempts=1)

    assert Parking.PARKED is scene.park(after=0.0)
    assert (0, Start.GRANTED) == (scene.read().attempts, scene.start("owner-2").outcome)


def test_cancel_leaves_a_running_call_alone(scene):
    scene.run()
    before = scene.read()

    assert Cancellation.RUNNING is scene.cancel()
    assert before == scene.read()._replace(failure=None)
    assert Write.OK is scene.complete()


def test_paused_job_starts_after_the_pause_only(scene):
    scene.admit()
    scene.store.controls.pause(Pause("all"), "a note")
    paused = scene.start()
    scene.store.controls.resume(Pause("all"))
    scene.clock.advance(1)

    assert (Start.PAUSED, "queued", 0) == (paused.outcome, paused.record.flight, paused.record.attempts)
    assert Start.GRANTED is scene.start("owner-2").outcome


def test_job_that_waited_too_long_does_not_start(scene):
    scene.admit(expires=9.0)
    scene.clock.advance(9)

    reply = scene.start()

    assert Start.UNRUN is reply.outcome
    assert "expired" == reply.record.failure.kind


def test_answer_books_what_its_run_paid(scene):
    scene.run()
    scene.complete(book=BOOK)

    assert (1, 7) == (totals(scene).get("calls"), totals(scene).get("micro_usd"))


def test_fenced_answer_is_booked_once_however_often_it_is_sent(scene):
    scene.run("owner-1")
    scene.clock.advance(30)
    scene.start("owner-2")

    assert [Write.FENCED] * 2 == [scene.complete("owner-1", book=BOOK) for _ in range(2)]
    assert (1, 7) == (totals(scene).get("calls"), totals(scene).get("micro_usd"))


def test_answer_before_a_mark_is_no_hit(scene):
    scene.done()
    scene.store.controls.mark(Mark("task", "orders"))

    assert scene.read().value is None
    assert Admission.ADMITTED is scene.admit("job-2").outcome


def test_late_copy_without_a_record_starts_nothing(scene):
    assert Start.ABSENT is scene.start(age=3599.999).outcome
    assert Start.ENDED is scene.start(age=3600.0).outcome
