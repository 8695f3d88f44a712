"""An answer that no run gives: one write, and the last one wins."""

import pytest

from askonce.controls import Mark, Pause
from askonce.due import Meant, Walked
from askonce.record import Status
from askonce.store import Admission, Start, Write
from tests.contract.key_under_test import ANSWER, BUCKET
from tests.contract.test_store_money import BOOK
from tests.contract.test_store_tally import counted

NEW = b'j"new"'


def value(scene):
    seen = scene.read().value
    return seen and seen.data


@pytest.mark.parametrize(
    "before",
    [
        lambda scene: None,
        lambda scene: scene.put(),
        lambda scene: scene.done(),
        lambda scene: scene.admit(),
        lambda scene: scene.run(),
        lambda scene: (scene.run(), scene.park()),
        lambda scene: (scene.run(max_attempts=1), scene.fail()),
        lambda scene: (scene.run(), scene.fail(kind="permanent", keep=900.0)),
        lambda scene: (scene.done(), scene.invalidate()),
    ],
    ids=["nothing", "put", "answered", "queued", "running", "parked", "dead", "failed", "removed"],
)
def test_answer_is_there_whatever_was_before(scene, before):
    before(scene)

    assert scene.put(NEW, job="job-2")

    seen = scene.read()
    assert (NEW, Status.DONE, "idle", None, None) == (
        value(scene),
        seen.status,
        seen.flight,
        seen.failure,
        seen.parked,
    )
    assert Admission.HIT is scene.admit("job-3").outcome
    assert ([], None) == (scene.store.flights.keys(range(256)), scene.show())


def test_answer_grows_stale_and_is_gone_as_any_other(scene):
    scene.put(soft=60.0, hard=600.0)
    scene.clock.advance(59.999)
    assert Status.DONE is scene.read().status
    scene.clock.advance(0.001)
    assert Status.STALE is scene.read().status
    scene.clock.advance(540)

    assert not scene.read().present


def test_run_under_way_is_fenced(scene):
    scene.run()

    scene.put(NEW, job="job-2")

    assert Write.FENCED is scene.complete()
    assert NEW == value(scene)


def test_message_of_the_job_before_starts_nothing(scene):
    scene.admit()

    scene.put(NEW, job="job-2")

    assert Start.GRANTED is not scene.start().outcome
    assert NEW == value(scene)


def test_pause_keeps_the_one_before(scene):
    scene.put()
    scene.store.controls.pause(Pause("task", "orders"), "why")

    assert not scene.put(NEW, job="job-2")
    assert ANSWER == value(scene)


@pytest.mark.parametrize("mark", [Mark("task", "orders"), Mark("tag", "red"), Mark("version", "orders", "2")])
def test_mark_removes_what_was_put_before_it_alone(scene, mark):
    scene.put(tags=("red",), version="2")
    scene.store.controls.mark(mark)
    assert value(scene) is None

    scene.put(NEW, job="job-2", tags=("red",), version="2")

    assert NEW == value(scene)


def test_nothing_is_counted_since_nobody_called(scene):
    scene.put()

    assert {} == scene.store.tally.totals()


def test_answer_is_listed(scene):
    scene.put(tags=("red",))

    found, _ = scene.store.due.answers([Walked(BUCKET)], Meant(tag="red"))

    assert [scene.key] == [each.key for each in found]


def test_forgotten_run_is_in_doubt_until_its_late_write(scene):
    scene.run()
    scene.put(job="job-2")
    doubts = counted(scene).get("in_doubt")

    scene.complete(book=BOOK)

    assert (1, 0, 1) == (doubts, counted(scene).get("in_doubt", 0), counted(scene)["calls"])
