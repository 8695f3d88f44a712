import pytest

from askonce.adapters.memory import controls
from askonce.adapters.redis import sources
from askonce.controls import NAME_KEPT, Mark
from askonce.errors import StoreUnavailable
from askonce.job import Routing
from askonce.lost import Delivered
from askonce.record import MARK_KEPT, Status
from askonce.spec import TAG_KEPT
from askonce.store import Admission, Renewal, Start, Write
from askonce.tally import Book
from tests.contract.key_under_test import BUCKET

# One suite for every store: marks make answers old, however many they are.

JOB = {"task": "orders", "tenant": "acme", "model": "small", "version": "2", "tags": ("customer-7", "red")}
JOB |= {"routing": Routing("slow", 3, headers='{"trace":"t"}')}
MARKS = [
    Mark("all"),
    Mark("task", "orders"),
    Mark("tenant", "acme"),
    Mark("version", "orders", "2"),
    Mark("tag", "customer-7"),
    Mark("tag", "red"),
]
OTHERS = [
    Mark("task", "lookups"),
    Mark("task", "red"),
    Mark("tenant", "other"),
    Mark("tenant", "orders"),
    Mark("version", "orders", "1"),
    Mark("version", "lookups", "2"),
    Mark("tag", "customer-70"),
    Mark("tag", "orders"),
]
MARK, EXPIRED = MARKS[1], MARKS[1]._replace(mode="expire")
LONG = 2 * MARK_KEPT
BOOK = Book("orders", "acme", "small", (("calls", 1), ("micro_usd", 7)))


def totals(scene):
    """Return what was counted, by its name alone."""
    return {counter.what: amount for counter, amount in scene.store.tally.totals().items()}


def test_when_an_answer_was_removed_is_known_until_the_next_one(scene):
    scene.admit(**JOB)
    scene.start()
    scene.complete()
    removed = []
    for remove in (scene.invalidate, lambda: scene.store.controls.mark(MARK)):
        scene.clock.advance(1)
        remove()
        scene.clock.advance(1)
        scene.admit("job-2", **JOB)
        scene.start("owner-2", "job-2")
        removed.append(round(float(scene.clock()) - scene.read().removed_at / 1_000_000, 3))
        scene.complete("owner-2")
        removed.append(scene.read().removed_at)

    assert [1.0, 0, 1.0, 0] == removed


@pytest.fixture
def few_marks(monkeypatch):
    """A store that has room for few marks; how many."""
    monkeypatch.setattr(controls, "MAX_MARKS", 3)
    monkeypatch.setitem(sources._VALUES, "MAX_MARKS", 3)
    return 3


def has_room(scene, tag):
    """Mark one more tag; return whether there was room for it."""
    try:
        scene.store.controls.mark(Mark("tag", tag))
    except StoreUnavailable as error:
        return error.reason != "marks_full"
    return True


def answered(scene, **more):
    scene.run(**JOB, **more)
    scene.complete()


@pytest.mark.parametrize("mark", MARKS, ids=str)
def test_marked_answer_is_none(scene, mark):
    answered(scene)
    scene.store.controls.mark(mark)

    reply = scene.admit("job-2", **JOB)

    assert (Admission.ADMITTED, None) == (reply.outcome, reply.record.value)
    assert scene.read().value is None


@pytest.mark.parametrize("mark", MARKS, ids=str)
def test_expired_answer_is_kept_and_stale(scene, mark):
    answered(scene)
    scene.store.controls.mark(mark._replace(mode="expire"))
    seen = scene.read()

    reply = scene.admit("job-2", **JOB)

    assert (Status.STALE, False) == (seen.status, seen.value.fresh)
    assert (Admission.ADMITTED, False) == (reply.outcome, reply.record.value.fresh)


@pytest.mark.parametrize("mode", ["remove", "expire"])
@pytest.mark.parametrize("mark", OTHERS, ids=str)
def test_mark_of_others_leaves_an_answer(scene, mark, mode):
    answered(scene)
    scene.store.controls.mark(mark._replace(mode=mode))

    assert Admission.HIT is scene.admit("job-2", **JOB).outcome


def test_answer_whose_run_began_before_a_mark_is_refused(scene):
    scene.run(**JOB)
    scene.clock.advance(1)
    scene.store.controls.mark(MARK)
    scene.clock.advance(1)

    assert Renewal.OK is scene.renew()
    assert Write.FENCED is scene.complete()
    assert (None, None) == (scene.read().value, scene.read().late)
    assert Admission.ADMITTED is scene.admit("job-2", **JOB).outcome


def test_answer_whose_run_began_before_it_expired_is_stale(scene):
    scene.run(**JOB)
    scene.clock.advance(1)
    scene.store.controls.mark(EXPIRED)
    joined = scene.admit("job-2", **JOB)

    assert Write.OK is scene.complete()
    assert Admission.ATTACHED is joined.outcome
    assert (Status.STALE, False) == (scene.read().status, scene.read().value.fresh)
    assert Admission.ADMITTED is scene.admit("job-3", **JOB).outcome


def test_answer_that_expired_during_its_run_stays_stale_when_the_mark_is_forgotten(few_marks, scene):
    scene.run(**JOB)
    scene.store.controls.mark(EXPIRED)
    scene.complete(soft=LONG, hard=2 * LONG)
    scene.clock.advance(MARK_KEPT + 1)
    # The mark makes room for another one.
    assert [True] * few_marks == [has_room(scene, f"t-{number}") for number in range(few_marks)]

    assert not scene.read().value.fresh


@pytest.mark.parametrize("mode", ["remove", "expire"])
def test_mark_lasts_as_long_as_any_answer_of_before(few_marks, scene, mode):
    answered(scene)
    scene.run(job="job-2", owner="owner-2", **JOB, force=True)
    scene.complete("owner-2", soft=LONG, hard=2 * LONG)
    scene.store.controls.mark(MARK._replace(mode=mode))
    scene.clock.advance(2 * LONG - 1)
    # Those that are over make room.
    room = [has_room(scene, f"t-{number}") for number in range(few_marks)]

    assert [True] * (few_marks - 1) + [False] == room
    assert scene.admit("job-3", **JOB).outcome is Admission.ADMITTED


@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
def test_mark_lasts_as_long_as_its_caller_knows_of_answers(few_marks, scene, again):
    scene.store.controls.mark(MARK, LONG)
    if again:
        scene.store.controls.mark(MARK)
    scene.clock.advance(LONG - 1)
    room = [has_room(scene, f"t-{number}") for number in range(few_marks)]
    scene.clock.advance(2)

    assert [True] * (few_marks - 1) + [False] == room
    assert has_room(scene, "one more")


@pytest.mark.parametrize("kept", [-1.0, float("nan"), 1e12])
def test_mark_that_cannot_be_kept_so_long_is_refused(scene, kept):
    with pytest.raises(ValueError, match=r"a mark is kept for 0 to 315360000 seconds, not"):
        scene.store.controls.mark(MARK, kept)


@pytest.mark.parametrize("mark", MARKS, ids=str)
def test_who_asks_after_a_mark_does_not_join_a_run_of_before(scene, mark):
    scene.run(**JOB)
    scene.store.controls.mark(mark)

    reply = scene.admit("job-2", **JOB)
    late = scene.complete()
    scene.start("owner-2", "job-2")
    scene.complete("owner-2", b"j2")

    assert (Admission.ADMITTED, "job-2", Write.FENCED) == (reply.outcome, reply.record.job, late)
    assert b"j2" == scene.read().value.data
    assert {"lost": 1, "in_doubt": 1}.items() <= totals(scene).items()


def test_who_joins_a_queued_job_after_a_mark_gets_its_answer(scene):
    scene.admit(**JOB)
    scene.store.controls.mark(MARK)
    joined = scene.admit("job-2", **JOB)
    scene.clock.advance(1)
    scene.start()
    scene.complete()

    assert (Admission.ATTACHED, "job-1") == (joined.outcome, joined.record.job)
    assert Admission.HIT is scene.admit("job-3", **JOB).outcome


def test_refused_answer_is_paid_for_once(scene):
    scene.run(**JOB)
    scene.store.controls.mark(MARK)

    assert [Write.FENCED] * 2 == [scene.complete(book=BOOK), scene.complete(book=BOOK)]
    counted = totals(scene)
    assert (1, 7, 0, 0) == (*(counted.get(name, 0) for name in ("calls", "micro_usd", "in_doubt", "done")),)


def test_refused_answer_of_a_job_that_was_queued_again_leaves_the_job(scene):
    scene.run(**JOB)
    scene.clock.advance(31)
    scene.resend(delivered=[])
    scene.store.controls.mark(MARK)

    late = scene.complete(book=BOOK)
    scene.clock.advance(1)
    granted = scene.start("owner-2")

    assert (Write.FENCED, Start.GRANTED) == (late, granted.outcome)
    assert (1, 0) == (totals(scene).get("calls"), totals(scene).get("in_doubt", 0))


def test_waiter_of_a_run_of_before_finds_no_job(scene):
    scene.run(**JOB)
    scene.store.controls.mark(MARK)
    scene.complete()

    seen = scene.read()

    assert ("idle", "", "", None, None) == (seen.flight, seen.job, seen.owner, seen.value, seen.failure)


def test_message_of_a_marked_answer_is_not_done(scene):
    answered(scene)
    scene.store.controls.mark(MARK)

    assert Start.SUPERSEDED is scene.start("owner-2").outcome


def test_failed_refresh_of_a_marked_answer_shows_none(scene):
    answered(scene)
    scene.store.controls.mark(MARK)
    scene.admit("job-2", **JOB)
    scene.start("owner-2", "job-2")

    assert scene.fail("owner-2", kind="permanent").record.value is None


def test_failed_refresh_of_an_expired_answer_shows_it(scene):
    answered(scene)
    scene.store.controls.mark(EXPIRED)
    scene.admit("job-2", **JOB)
    scene.start("owner-2", "job-2")

    assert scene.fail("owner-2").record.value is not None


def test_expired_answer_is_served_while_a_job_makes_it_anew(scene):
    answered(scene)
    scene.clock.advance(20)
    scene.store.controls.mark(EXPIRED)
    scene.clock.advance(5)

    first, second = (scene.admit(f"job-{n}", **JOB, stale_while_revalidate=9.0) for n in (2, 3))
    scene.clock.advance(5)
    late = scene.admit("job-4", **JOB, stale_while_revalidate=9.0)

    assert [Admission.ADMITTED, Admission.STALE] == [first.outcome, second.outcome]
    assert (Admission.ATTACHED, 5.0) == (late.outcome, second.record.value.stale_for)


def test_removed_answer_is_not_served_while_a_job_makes_it_anew(scene):
    answered(scene)
    scene.store.controls.mark(MARK)

    outcomes = [scene.admit(f"job-{n}", **JOB, stale_while_revalidate=600.0).outcome for n in (2, 3)]

    assert [Admission.ADMITTED, Admission.ATTACHED] == outcomes


@pytest.mark.parametrize("mark", [MARK, EXPIRED], ids=str)
def test_marked_answer_does_not_go_stale_soon(scene, mark):
    answered(scene)
    scene.admit("job-2", **JOB)
    before = scene.store.due.going_stale([BUCKET], "orders", 600.0)
    scene.store.controls.mark(mark)
    scene.clock.advance(1)

    assert [scene.key] == [each.key for each in before]
    assert [] == scene.store.due.going_stale([BUCKET], "orders", 600.0)


def test_sweep_over_removed_answers_changes_nothing_that_is_shown(scene):
    answered(scene)
    scene.store.controls.mark(MARK)
    before = scene.read()
    scene.clock.advance(60)
    scene.reap()

    after = scene.read()

    assert (before.job, before.fence, None) == (after.job, after.fence, after.value)
    assert Write.OK is scene.complete(), "a repeated write was taken for a new one"
    assert Admission.ADMITTED is scene.admit("job-2", **JOB).outcome


@pytest.mark.parametrize("modes", [("remove", "expire"), ("expire", "remove")], ids="-".join)
def test_earlier_mark_of_the_other_mode_still_counts(scene, modes):
    answered(scene)
    for mode in modes:
        scene.clock.advance(1)
        scene.store.controls.mark(MARK._replace(mode=mode))

    assert scene.read().value is None


def test_answer_between_a_removal_and_an_expiry_is_stale(scene):
    scene.store.controls.mark(MARK)
    scene.clock.advance(1)
    answered(scene)
    scene.clock.advance(1)
    scene.store.controls.mark(EXPIRED)

    assert Status.STALE is scene.read().status


def test_second_mark_makes_later_answers_old(scene):
    scene.store.controls.mark(MARK)
    scene.clock.advance(1)
    answered(scene)
    scene.clock.advance(1)
    scene.store.controls.mark(MARK)

    assert scene.read().value is None


def test_room_for_marks_is_bounded_and_found_again(few_marks, scene):
    room = [has_room(scene, f"t-{number}") for number in range(few_marks + 1)]
    scene.store.controls.mark(Mark("tag", "t-0", mode="expire"))
    scene.clock.advance(MARK_KEPT + 1)

    assert [True] * few_marks + [False] == room
    assert has_room(scene, "one more")


def test_tags_of_a_job_last_as_long_as_its_record(scene):
    scene.admit(**JOB, queue_deadline=60.0, expires=600.0)
    scene.admit("job-2", **JOB, expires=3600.0)
    queued = scene.read()
    scene.clock.advance(61)
    [lost] = scene.resend(delivered=[Delivered("slow", 3, seconds=0.0)])
    scene.start()
    scene.complete()

    assert [JOB["tags"]] * 3 == [queued.tags, lost.job.tags, scene.read().tags]
    assert JOB["routing"] == queued.routing


@pytest.mark.parametrize("mode", ["remove", "expire"])
def test_job_without_tags_has_none(scene, mode):
    scene.done()
    scene.store.controls.mark(Mark("tag", "red", mode=mode))

    assert ((), True) == (scene.read().tags, scene.read().value.fresh)


@pytest.mark.parametrize(
    ("mark", "why"),
    [
        (Mark("all", "x"), "a mark of all has no name"),
        (Mark("task"), "a mark names a task: 1 to"),
        (Mark("tenant", "a\nb"), "a mark names a tenant: 1 to"),
        (Mark("task", "x" * (NAME_KEPT + 1)), "a mark names a task: 1 to"),
        (Mark("tag", "x" * (TAG_KEPT + 1)), f"a mark names a tag: 1 to {TAG_KEPT}"),
        (Mark("version", "orders"), "a mark of a version names"),
        (Mark("task", "orders", "2"), "a mark of a version names"),
        (Mark("queue", "slow"), "the scope of a mark is one of all, task"),
        (Mark("task", "orders", mode="delete"), "the mode of a mark is remove or expire"),
    ],
    ids=str,
)
def test_mark_that_no_answer_can_have_is_refused(scene, mark, why):
    with pytest.raises(ValueError, match=why):
        scene.store.controls.mark(mark)
