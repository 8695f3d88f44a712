"""What a run paid is counted once for each owner, however late or often its write comes."""

import pytest

from askonce.store import Write
from askonce.tally import Book

AMOUNTS = {"calls": 1, "micro_usd": 250, "tokens:input_tokens": 7}
BOOK = Book("orders", "", "", tuple(AMOUNTS.items()))
#: A call that was refused: it paid nothing.
NOTHING = BOOK._replace(amounts=())
ONCE = {**AMOUNTS, "in_doubt": 0}


def money(scene):
    """Return what was paid, and how many runs are in doubt."""
    totals = scene.store.tally.totals()
    counted = {"in_doubt": 0, **{counter.what: amount for counter, amount in totals.items()}}
    return {what: amount for what, amount in counted.items() if what in ONCE}


def late(scene, owner="owner-1", book=BOOK):
    scene.store.tally.book_late(scene.key, owner, book)


def test_money_without_a_place_in_the_record_is_counted_once(scene):
    late(scene)
    late(scene)

    assert money(scene) == ONCE
    assert scene.read().present is False


def test_money_without_a_place_is_counted_for_each_owner(scene):
    late(scene, "owner-1")
    late(scene, "owner-2")

    assert money(scene)["calls"] == 2


def test_money_without_a_place_leaves_no_run_in_doubt(scene):
    scene.run("other")

    late(scene)

    assert money(scene) == ONCE


@pytest.mark.parametrize("pay", ["complete", "fail"])
def test_money_of_an_overtaken_owner_ends_its_doubt(scene, pay):
    scene.run()
    scene.clock.advance(31.0)
    scene.start("owner-2")
    assert money(scene) == {"in_doubt": 1}

    getattr(scene, pay)(book=BOOK)
    getattr(scene, pay)(book=BOOK)

    assert money(scene) == ONCE


def test_refused_call_of_an_overtaken_owner_ends_its_doubt(scene):
    scene.run()
    scene.clock.advance(31.0)
    scene.start("owner-2")

    scene.fail(book=NOTHING)

    assert money(scene) == {"in_doubt": 0}


def test_failure_of_a_lost_owner_is_counted_after_its_last_attempt(scene):
    scene.run(max_attempts=1)
    scene.clock.advance(31.0)
    scene.reap()
    assert scene.show() is not None

    outcomes = [scene.fail(book=BOOK).outcome for _ in range(2)]

    assert (outcomes, money(scene)) == ([Write.FENCED] * 2, ONCE)


def test_failure_of_a_lost_owner_is_counted_after_its_record_forgot_it(scene):
    scene.run(max_attempts=1)
    scene.clock.advance(31.0)
    scene.reap()
    scene.admit("job-2", force=True)

    outcomes = [scene.fail(book=BOOK).outcome for _ in range(2)]

    assert (outcomes, money(scene)) == ([Write.FENCED] * 2, ONCE)


def again(scene):
    scene.clock.advance(10.0)
    scene.admit("job-2")


def by_another(scene):
    scene.clock.advance(10.0)
    scene.start("owner-2")


def failed_by_another(scene):
    by_another(scene)
    scene.fail("owner-2")


def completed_by_another(scene):
    by_another(scene)
    scene.complete("owner-2")


def lost_by_another(scene):
    by_another(scene)
    scene.clock.advance(31.0)
    scene.reap()


def forced(scene):
    scene.admit("job-2", force=True)


def replaced(scene):
    scene.admit("job-2", "fp-2")


def replaced_and_done(scene):
    scene.admit("job-2", "fp-2")
    scene.start("owner-2", "job-2", "fp-2")
    scene.complete("owner-2")


def invalidated(scene):
    scene.invalidate()


def put_over(scene):
    scene.put(job="job-2")


FAILED = [by_another, failed_by_another, completed_by_another, lost_by_another]


@pytest.mark.parametrize("then", [*FAILED, replaced, replaced_and_done, invalidated, put_over])
def test_failure_repeated_late_is_counted_once(scene, then):
    scene.run(max_attempts=2)
    scene.fail(after=9.0, book=BOOK)
    then(scene)
    counted = money(scene)

    scene.fail(after=9.0, book=BOOK)

    assert money(scene) == counted
    assert counted["calls"] == 1


@pytest.mark.parametrize("then", [again, forced, replaced, replaced_and_done, invalidated, put_over])
def test_answer_repeated_late_is_counted_once(scene, then):
    scene.run()
    scene.complete(soft=5.0, book=BOOK)
    then(scene)
    counted = money(scene)

    scene.complete(soft=5.0, book=BOOK)

    assert (money(scene), counted) == (ONCE, ONCE)


@pytest.mark.parametrize("hard", [10.0, 600.0, 3599.0])
@pytest.mark.parametrize(
    "then", [lambda _: None, lambda scene: scene.run("owner-2", "job-2")], ids=["gone", "anew"]
)
def test_answer_repeated_within_the_hour_is_counted_once_however_short_it_is_kept(scene, hard, then):
    scene.run()
    scene.complete(soft=min(hard, 60.0), hard=hard, book=BOOK)
    scene.clock.advance(max(hard, 30.0) - 1.0)
    assert scene.read().present
    scene.clock.advance(1.0)
    assert not scene.read().present
    then(scene)

    scene.complete(soft=min(hard, 60.0), hard=hard, book=BOOK)

    assert money(scene) == ONCE
