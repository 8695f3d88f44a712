from dataclasses import replace

import pytest

from askonce.execution import Computed, Deferred, Skipped


def never():
    pytest.fail("the body was run")


class StandsStill:
    """A process that stands still for so many seconds after its lease was granted."""

    def __init__(self, scene, seconds):
        self._scene, self._start, self.now, self._seconds = scene, scene.store.start, 0.0, seconds
        scene.fail_on("start", times=0)
        scene.store.start = self.start
        scene.executor = replace(scene.executor, clock=lambda: self.now)

    def start(self, job, lease, *kept, **how):
        reply = self._start(job, lease, *kept, **how)
        self.now += self._seconds
        self._scene.clock.advance(self._seconds)
        return reply


def test_process_that_stood_still_past_its_lease_does_not_pay(scene):
    asked = scene.ask()
    StandsStill(scene, scene.spec.lease)

    executed = scene.work(never)

    assert executed == Deferred(key=asked.key, job=asked.job, reason="stalled", after=0.0, parked=True)
    assert scene.deferred == [(asked.key, 0.0)]
    assert (scene.read().flight, scene.read().attempts) == ("queued", 0)
    assert [event.data["reason"] for event in scene.heard.named("job.deferred")] == ["stalled"]


def test_process_that_stood_still_within_its_lease_makes_the_call(scene):
    scene.ask()
    StandsStill(scene, scene.spec.lease - 0.001)

    assert isinstance(scene.work(), Computed)


def test_process_that_stood_still_leaves_a_job_taken_over_alone(scene):
    scene.ask()
    still = StandsStill(scene, scene.spec.lease)

    def overtaken(job, lease, *kept, **how):
        reply = still.start(job, lease, *kept, **how)
        scene.store.start = still._start
        scene.work(lambda: "newer")
        return reply

    scene.store.start = overtaken
    scene.executor = replace(scene.executor, clock=lambda: still.now)

    executed = scene.work(never)

    assert (type(executed), executed.because.word) == (Skipped, "superseded")
    assert scene.ask().result(0).value == "newer"
    assert [event.data["outcome"] for event in scene.heard.named("job.skipped")] == ["superseded"]


def test_inline_caller_that_stood_still_calls_under_a_new_lease(scene):
    still = StandsStill(scene, scene.spec.lease)
    scene.caller = replace(scene.caller, runner=replace(scene.runner, executor=scene.executor))
    calls = []

    def body():
        calls.append(1)
        return scene.answer

    def start_again(job, lease, *kept, **how):
        scene.store.start = still._start
        return still.start(job, lease, *kept, **how)

    scene.store.start = start_again

    assert scene.call(body).value == scene.answer
    assert calls == [1]
