from collections import Counter

import pytest

from askonce.cancel import cancel_run
from askonce.controls import Pause
from askonce.errors import JobFailed
from askonce.handle import as_completed
from askonce.store import Cancellation
from tests.deadlines import stretched

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("has brokers of its own")]

JOBS, SHARED = 1_000, 100


@pytest.mark.parametrize(
    "purged", [pytest.param(False, marks=pytest.mark.long), True], ids=["queued", "purged"]
)
def test_cancelled_run_is_paid_for_only_where_another_run_asked_too(stage, purged):
    stage.start_worker("other")
    handles = [stage.app.call.enqueue({"n": n}, run="night").handle for n in range(JOBS)]
    for n in range(SHARED):
        stage.app.call.enqueue({"n": n}, run="day")
    if purged:
        stage.app.app.control.purge()

    counts = cancel_run(stage.store, "night")
    stage.start_worker("slow", slots=16)
    ended = dict(as_completed(stage.store, handles, stretched(90)))

    assert {Cancellation.CANCELLED: JOBS - SHARED, Cancellation.SHARED: SHARED} == counts
    assert dict.fromkeys(range(SHARED), 1) == stage.called()
    kinds = Counter(each.kind if isinstance(each, JobFailed) else each.source for each in ended.values())
    assert {"cancelled": JOBS - SHARED, "call": SHARED} == kinds


def test_call_under_way_ends_when_its_run_is_cancelled(stage):
    stage.start_worker("slow", slots=1)
    handles = [stage.app.call.enqueue({"n": n}, run="night").handle for n in range(30)]
    stage.eventually(lambda: stage.client.llen("called") >= 2, 30)

    counts = cancel_run(stage.store, "night")
    ended = dict(as_completed(stage.store, handles, stretched(30)))

    answered = [each for each in ended.values() if not isinstance(each, JobFailed)]
    # Looking at all jobs takes a while: one may end meanwhile, and the next one begin.
    assert len(answered) == stage.client.llen("called") == 30 - counts[Cancellation.CANCELLED]


def test_run_is_cancelled_while_it_is_paused(stage):
    stage.controls.pause(Pause("run", "night"), "ana: by mistake")
    stage.start_worker("slow")
    handles = [stage.app.call.enqueue({"n": n}, run="night").handle for n in range(10)]
    stage.eventually(lambda: all(record.parked for record in stage.records(handles)), 30)

    counts = cancel_run(stage.store, "night")
    stage.controls.resume(Pause("run", "night"))
    ended = dict(as_completed(stage.store, handles, stretched(30)))

    assert {Cancellation.CANCELLED: 10} == counts
    assert {"cancelled"} == {each.kind for each in ended.values()}
    assert Counter() == stage.called()
