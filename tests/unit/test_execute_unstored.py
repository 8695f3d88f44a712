from dataclasses import replace
from itertools import count

import pytest

from askonce.answer import Answer
from askonce.errors import JobFailed, LayoutNewer, Permanent, StoreUnavailable, Transient
from askonce.outcomes import Hit
from askonce.store import Write
from askonce.store_down.spill import Spill


def test_cost_of_an_unstored_answer_is_emitted(scene):
    scene.ask()
    scene.fail_on("complete")
    scene.work(lambda: Answer(value=1, cost_usd=0.5))

    assert [0.5] == [event.data["cost_usd"] for event in scene.heard.named("job.unstored")]


NOT_WRITTEN = [
    (StoreUnavailable(verb="complete", reason="TimeoutError"), []),
    (LayoutNewer(verb="complete"), []),
    (TypeError("a mistake"), ["TypeError"]),
]


@pytest.mark.parametrize(("error", "unkept"), NOT_WRITTEN, ids=["down", "newer", "mistake"])
@pytest.mark.parametrize("source", ["call", "default"])
def test_answer_that_cannot_be_written_reaches_its_caller(scene, error, unkept, source):
    scene.ask()
    verb = "complete" if source == "call" else "fail"
    failing = scene.fail_on(verb, times=1, error=error)

    executed = scene.work(lambda: Answer(value=scene.answer, source=source, cost_usd=0.5))

    assert (executed.stored, executed.result.value, executed.result.degraded) == (
        Write.UNAVAILABLE,
        scene.answer,
        True,
    )
    assert [0.5] == [event.data["cost_usd"] for event in scene.heard.named("job.unstored")]
    assert unkept == [event.data["reason"] for event in scene.heard.named("job.unkept")]
    assert failing.calls >= 1


def test_answer_of_a_newer_record_is_stored_when_it_can_be(scene, eventually):
    asked = scene.ask()
    scene.fail_on("complete", times=3, error=LayoutNewer(verb="complete"))

    scene.work()
    eventually(lambda: "job.stored_late" in scene.heard.names)

    assert asked.result(0).value == scene.answer
    assert scene.heard.named("job.unkept") == []


def test_answer_is_stored_although_its_process_is_ended_meanwhile(scene):
    asked = scene.ask()
    scene.fail_on("complete", times=1, error=SystemExit(1))

    with pytest.raises(SystemExit):
        scene.work()

    assert scene.spill.drain(10) == 0
    assert asked.result(0).value == scene.answer


def test_mistake_in_storing_costs_no_second_call(scene):
    asked = scene.ask()
    scene.fail_on("complete", times=1, error=TypeError("a mistake"))
    scene.work()

    scene.clock.advance(scene.spec.lease)

    assert scene.store.reap(range(256)) == []
    with pytest.raises(JobFailed, match="unstored"):
        asked.result(0)


def test_answer_without_room_anywhere_is_reported(scene):
    scene.use(scene.store, replace(scene.spec, lease=0.1))
    scene.ask()
    scene.fail_on("complete")
    ticks = count()
    scene.executor = replace(scene.executor, spill=Spill(max_bytes=3), clock=lambda: next(ticks) * 0.01)
    scene.work()

    assert [event.name for event in scene.heard][-3:] == ["job.unstored", "job.done", "job.unkept"]
    assert scene.heard.named("job.unkept")[0].data["reason"] == "no_room"


def test_failure_is_stored_once_the_store_is_back(scene, raising, eventually):
    asked = scene.ask()
    failing = scene.fail_on("fail")
    scene.work(raising(Permanent("http_404", cost_usd=0.5)))

    failing.left = 0
    eventually(lambda: "job.stored_late" in scene.heard.names)

    assert scene.heard.named("job.deferred")[0].data["cost_usd"] == 0.5
    with pytest.raises(JobFailed, match="http_404"):
        asked.result(0)


def test_failure_stored_late_rests_for_the_rest_of_its_time(scene, raising, eventually):
    scene.ask()
    now = [100.0]
    failing = scene.fail_on("fail")
    scene.executor = replace(scene.executor, clock=lambda: now[0])
    scene.work(raising(Transient("http_503", retry_after=20.0)))

    now[0] += 15.0
    failing.left = 0
    eventually(lambda: "job.stored_late" in scene.heard.names)

    assert (scene.read().wait, scene.read().failure.reason) == (5.0, "http_503")


def test_failure_that_waited_to_be_stored_is_fenced_after_a_takeover(scene, raising, eventually):
    scene.ask()
    failing = scene.fail_on("fail")
    scene.work(raising(Permanent("http_404")))
    scene.clock.advance(scene.spec.lease)
    [_lost] = scene.store.reap(range(256))
    scene.work()

    failing.left = 0
    eventually(lambda: "job.stored_late" in scene.heard.names)

    assert [event.data["outcome"] for event in scene.heard.named("job.stored_late")] == ["fenced"]
    assert isinstance(scene.ask(), Hit)


def test_failure_without_room_in_the_spill_is_reported(scene, raising):
    scene.ask()
    scene.fail_on("fail")
    scene.executor = replace(scene.executor, spill=Spill(max_bytes=3))

    scene.work(raising(Permanent("http_404")))

    assert [event.data["reason"] for event in scene.heard.named("job.unkept")] == ["no_room"]
