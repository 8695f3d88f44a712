from dataclasses import replace
from threading import Barrier

import pytest

from askonce.answer import Answer
from askonce.errors import ResultTimeout, Transient
from askonce.execution import Computed
from askonce.outcomes import Admitted, Attached
from askonce.store import Write
from askonce.store_down.spill import Spill

UNKNOWN = {"rate": None}


@pytest.mark.parametrize(
    ("given", "kept"),
    [("http_404", "http_404"), ("", ""), ("a\x1b[2J" * 99, "a?[2J" * 40), (ValueError("secret"), "")],
    ids=["word", "none", "text", "no text"],
)
def test_reason_of_a_fallback_reaches_its_waiters_in_one_line(scene, given, kept):
    asked = scene.ask()

    scene.work(lambda: Answer(value=UNKNOWN, source="default", reason=given))

    assert kept == asked.result(0).reason


def test_caller_in_this_thread_is_told_why_its_answer_is_old(scene, raising):
    scene.stale()

    result = scene.call(raising(Transient("http_503")))

    assert ("stale", "http_503") == (result.source, result.reason)


@pytest.mark.parametrize("source", ["stale", "default"])
class TestFallback:
    def test_reaches_the_waiters_of_its_job(self, scene, source):
        first, second = scene.ask(), scene.ask()

        scene.work(lambda: Answer(value=UNKNOWN, source=source))

        for asked in (first, second):
            assert (asked.result(0).value, asked.result(0).source) == (UNKNOWN, source)

    def test_reaches_no_other_caller(self, scene, source):
        scene.answered(body=lambda: Answer(value=UNKNOWN, source=source))

        asked = scene.ask()

        assert isinstance(asked, Admitted)
        assert asked.stale is None
        scene.work()
        assert asked.result(0).value == scene.answer

    def test_reaches_no_waiter_of_an_earlier_job(self, scene, source):
        earlier = scene.ask()
        scene.store.invalidate(earlier.key)
        scene.answered(body=lambda: Answer(value=UNKNOWN, source=source))

        with pytest.raises(ResultTimeout):
            earlier.result(0)
        scene.work()
        assert earlier.result(0).value == scene.answer

    def test_leaves_the_earlier_good_answer_alone(self, scene, source):
        scene.stale()
        before = scene.read().value
        scene.ask()
        scene.work(lambda: Answer(value=UNKNOWN, source=source))

        after = scene.read().value

        assert (after.data, after.stored_at, after.fence) == (before.data, before.stored_at, before.fence)
        assert not after.fresh
        assert scene.ask().stale.value == scene.answer

    def test_does_not_prolong_the_earlier_answer(self, scene, source):
        scene.stale()
        scene.ask()
        scene.work(lambda: Answer(value=UNKNOWN, source=source))
        scene.clock.advance(scene.spec.hard_ttl - scene.spec.soft_ttl)

        assert scene.read().value is None

    def test_is_reported_with_its_source(self, scene, source):
        scene.ask()

        executed = scene.work(lambda: Answer(value=UNKNOWN, source=source))

        assert isinstance(executed, Computed)
        assert (executed.result.source, executed.stored) == (source, Write.OK)
        [event] = scene.heard.named("job.completed")
        assert event.data["source"] == source


def test_answer_is_stored_once_the_store_is_back(scene, eventually):
    scene.ask()
    scene.fail_on("complete", times=4)

    executed = scene.work()
    eventually(lambda: "job.stored_late" in scene.heard.names)

    assert (executed.stored, executed.result.degraded) == (Write.UNAVAILABLE, True)
    answer = scene.ask().result(0)
    assert (answer.value, answer.source, answer.fence) == (scene.answer, "cache", executed.result.fence)


def test_fallback_is_stored_once_the_store_is_back(scene, eventually):
    asked = scene.ask()
    scene.fail_on("fail", times=2)

    scene.work(lambda: Answer(value=UNKNOWN, source="default"))
    eventually(lambda: "job.stored_late" in scene.heard.names)

    assert asked.result(0).value == UNKNOWN


def test_answer_that_is_not_stored_is_reported_and_returned(scene):
    scene.ask()
    scene.fail_on("complete")

    executed = scene.work()

    assert isinstance(executed, Computed)
    assert (executed.stored, executed.result.value) == (Write.UNAVAILABLE, scene.answer)
    assert scene.heard.names[-2:] == ["job.unstored", "job.done"]


def test_answer_overtaken_while_it_waited_to_be_stored_is_fenced(scene, eventually):
    scene.ask()
    failing = scene.fail_on("complete")
    scene.work(lambda: "old")
    scene.clock.advance(scene.spec.lease)
    [_lost] = scene.store.reap(range(256))
    scene.work(lambda: overtake(failing))
    eventually(lambda: "job.stored_late" in scene.heard.names)

    [late] = scene.heard.named("job.stored_late")
    assert late.data["outcome"] == "fenced"
    assert scene.ask().result(0).value == "new"


def overtake(failing):
    """The second run's body, at whose end the store answers again."""
    failing.left = 0
    return "new"


def test_answer_without_room_in_the_spill_is_tried_for_a_lease(scene):
    ticks = iter(range(1000))
    scene.use(scene.store, replace(scene.spec, lease=0.1))
    scene.ask()
    failing = scene.fail_on("complete")
    full = Spill(max_bytes=3)
    scene.executor = replace(scene.executor, spill=full, clock=lambda: next(ticks) * 0.005)

    executed = scene.work()

    assert executed.stored is Write.UNAVAILABLE
    assert failing.calls > 2
    assert full.bytes == 0


def test_answer_stored_late_is_fresh_for_the_rest_of_its_time(scene, eventually):
    times = iter([0.0, 0.0, 0.0, *[45.0] * 9])
    scene.ask()
    scene.fail_on("complete", times=1)
    scene.executor = replace(scene.executor, clock=lambda: next(times), draw=lambda low, _high: low)

    scene.work()
    eventually(lambda: "job.stored_late" in scene.heard.names)
    scene.clock.advance(scene.spec.soft_ttl - 45.0)

    assert scene.read().value is not None
    assert not scene.read().value.fresh


def test_twenty_callers_at_once_make_one_job(scene, threads):
    barrier = Barrier(20)

    def ask(_number):
        barrier.wait(10)
        return scene.ask()

    outcomes = list(threads.map(ask, range(20)))

    assert sorted(type(each).__name__ for each in outcomes) == ["Admitted"] + ["Attached"] * 19
    assert len({each.job for each in outcomes}) == 1
    assert len(scene.sender.sent) == 1
    assert isinstance(outcomes[0], Admitted | Attached)


def test_waiter_too_late_for_a_fallback_enqueues_again(scene):
    asked = scene.answered(body=lambda: Answer(value=UNKNOWN, source="default"))
    scene.clock.advance(120)

    with pytest.raises(ResultTimeout):
        asked.result(0)
    assert len(scene.sender.sent) == 2
