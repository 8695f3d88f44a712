import random
from dataclasses import replace
from itertools import count

import pytest

from askonce.answer import Answer
from askonce.errors import Configuration, JobFailed, LayoutNewer, Permanent, StoreUnavailable, Transient
from askonce.execute import _JITTER
from askonce.execution import Computed, Deferred, Failed, Reused, Skipped
from askonce.outcomes import Admitted, Hit
from askonce.record import Status
from askonce.spec import RetryPolicy
from askonce.store import Write
from askonce.store_down.spill import Spill

CORRECTED = {"currency": "BRL", "day": "2026-11-21"}


def never():
    pytest.fail("the body was run")


def test_admitted_job_is_called_once_and_its_answer_stored(scene):
    asked = scene.ask()

    executed = scene.work()

    assert isinstance(executed, Computed)
    assert executed.stored is Write.OK
    assert (executed.key, executed.job) == (asked.key, asked.job)
    assert (executed.result.value, executed.result.source, executed.result.attempts) == (
        scene.answer,
        "call",
        1,
    )
    assert scene.read().status is Status.DONE


def test_second_message_of_a_done_job_reuses_the_answer(scene):
    scene.answered()

    executed = scene.work(never)

    assert isinstance(executed, Reused)
    assert (executed.result.value, executed.result.source) == (scene.answer, "cache")


def test_second_message_of_a_running_job_does_nothing(scene, running):
    scene.ask()
    running(scene.work)

    executed = scene.work(never)

    assert isinstance(executed, Skipped)
    assert executed.because.word == "busy"


def test_job_is_taken_over_when_its_lease_is_over(scene, running):
    scene.ask()
    first = running(scene.work)
    scene.clock.advance(scene.spec.lease)

    second = scene.work(lambda: "newer")

    assert second.result.attempts == 2
    assert second.result.fence > first.finish().result.fence
    assert scene.ask().result(0).value == "newer"


def test_answer_after_a_takeover_is_returned_and_not_stored(scene, running):
    scene.ask()
    late = running(scene.work)
    scene.clock.advance(scene.spec.lease)
    scene.work(lambda: "newer")

    executed = late.finish()

    assert executed.stored is Write.FENCED
    assert executed.result.value == scene.answer
    assert scene.ask().result(0).value == "newer"
    assert "job.fenced" in scene.heard.names


def test_answer_after_the_lease_is_stored_without_a_takeover(scene, running):
    scene.ask()
    late = running(scene.work)
    scene.clock.advance(scene.spec.lease + 1)

    assert late.finish().stored is Write.OK
    assert isinstance(scene.ask(), Hit)


def test_answer_to_an_invalidated_record_is_not_stored(scene, running):
    asked = scene.ask()
    late = running(scene.work)
    scene.store.invalidate(asked.key)

    assert late.finish().stored is Write.FENCED
    assert isinstance(scene.ask(), Admitted)


def test_message_of_a_replaced_payload_is_superseded(scene):
    scene.ask()
    scene.ask(CORRECTED)

    executed = scene.work(never, number=0)

    assert isinstance(executed, Skipped)
    assert executed.because.word == "superseded"
    assert [dict(event.data) for event in scene.heard.named("job.skipped")] == [{"outcome": "superseded"}]


def test_message_with_another_payload_of_its_job_is_a_conflict(scene):
    scene.ask()
    delivery = scene.delivery()
    delivery = replace(delivery, job=delivery.job._replace(fingerprint="0" * 64))

    executed = scene.executor.execute(delivery, never)

    assert isinstance(executed, Skipped)
    assert executed.because.word == "conflict"


def test_message_of_a_job_that_rests_does_nothing(scene, raising):
    scene.ask()
    scene.work(raising(Transient("http_503")))

    executed = scene.work(never)

    assert isinstance(executed, Skipped)
    assert executed.because.word == "backoff"


def test_transient_failure_is_deferred_and_reaped_in_time(scene, raising):
    asked = scene.ask()

    executed = scene.work(raising(Transient("http_503")))

    assert executed == Deferred(key=asked.key, job=asked.job, reason="http_503", after=5.0)
    assert scene.deferred == [(asked.key, 5.0)]
    assert scene.read().status is Status.QUEUED


def test_deferred_job_is_called_again_after_its_rest(scene, raising):
    scene.ask()
    scene.work(raising(Transient("http_503")))
    scene.clock.advance(5)

    executed = scene.work()

    assert isinstance(executed, Computed)
    assert executed.result.attempts == 2


def test_permanent_failure_ends_the_job_for_failure_ttl(scene, raising):
    asked = scene.ask()

    executed = scene.work(raising(Permanent("http_404")))

    assert executed == Failed(key=asked.key, job=asked.job, kind="permanent", reason="http_404", attempts=1)
    assert scene.work(never) == executed
    scene.clock.advance(scene.spec.failure_ttl - 0.001)
    assert scene.read().status is Status.FAILED
    scene.clock.advance(0.001)
    assert isinstance(scene.ask(), Admitted)


def test_configuration_failure_ends_its_job_and_answers_no_other(scene, raising):
    asked = scene.ask()

    executed = scene.work(raising(Configuration("http_401")))

    assert isinstance(executed, Failed)
    assert (executed.kind, executed.reason) == ("configuration", "http_401")
    assert scene.deferred == []
    assert isinstance(scene.ask(), Admitted)
    assert scene.sender.sent[0].job.key == asked.key


def test_job_whose_attempts_are_spent_is_quarantined(scene, raising):
    scene.ask()
    for _ in range(3):
        executed = scene.work(raising(Transient("http_503")))
        scene.clock.advance(300)

    assert isinstance(executed, Failed)
    assert (executed.kind, executed.reason, executed.attempts) == ("quarantined", "http_503", 3)
    assert scene.read().status is Status.QUARANTINED
    assert len(scene.deferred) == 2


def test_job_whose_attempts_are_spent_rests_on_backoff(scene, raising):
    policy = RetryPolicy(max_attempts=1, base=5.0, on_give_up="backoff")
    scene.use(scene.store, replace(scene.spec, retry=policy))
    scene.ask()

    executed = scene.work(raising(Transient("http_503")))

    assert isinstance(executed, Failed)
    assert executed.kind == "transient"
    assert scene.read().failure.kind == "transient"
    assert scene.read().wait == 5.0


def test_failure_after_a_takeover_changes_nothing(scene, running, raising):
    scene.ask()
    late = running(lambda body: scene.work(lambda: [body(), raising(Permanent("http_404"))()]))
    scene.clock.advance(scene.spec.lease)
    scene.work()

    executed = late.finish()

    assert isinstance(executed, Skipped)
    assert executed.because.word == "superseded"
    assert isinstance(scene.ask(), Hit)


def test_message_of_a_lost_record_is_admitted_and_called(scene):
    asked = scene.ask()
    scene.store._records.clear()
    assert not scene.read().present

    executed = scene.work()

    assert isinstance(executed, Computed)
    assert (executed.stored, executed.job) == (Write.OK, asked.job)


def test_only_one_of_several_messages_of_a_lost_record_is_called(scene):
    scene.ask()
    scene.store._records.clear()
    scene.ask()
    scene.sender.sent.append(scene.sender.sent[0])

    first = scene.work(number=1)
    second = scene.work(never, number=0)

    assert isinstance(first, Computed)
    assert isinstance(second, Reused)


def test_body_is_not_run_while_the_store_does_not_answer_start(scene):
    scene.ask()
    scene.fail_on("start")

    with pytest.raises(StoreUnavailable):
        scene.work(never)


def test_failure_that_is_not_stored_is_left_to_the_lease(scene, raising):
    asked = scene.ask()
    scene.fail_on("fail")

    executed = scene.work(raising(Permanent("http_404")))

    assert executed == Deferred(key=asked.key, job=asked.job, reason="store_unavailable", after=30.0)
    assert scene.deferred == [(asked.key, 30.0)]


def test_answers_made_together_do_not_end_together(scene):
    draws = random.Random(7)
    scene.executor = replace(scene.executor, draw=draws.uniform)
    keys = [scene.answered({"currency": f"C{n}"}).key for n in range(40)]

    scene.clock.advance(scene.spec.soft_ttl * (1 - _JITTER))
    fresh_at_first = sum(record.value.fresh for record in scene.store.read(keys))
    scene.clock.advance(scene.spec.soft_ttl * _JITTER / 2)
    fresh_later = sum(record.value.fresh for record in scene.store.read(keys))

    assert fresh_at_first == 40
    assert 5 < fresh_later < 35


def test_cost_and_usage_are_kept_beside_the_answer(scene):
    asked = scene.answered(body=lambda: Answer(value=1, cost_usd=0.25, usage={"input_tokens": 7}))

    result = asked.result(0)

    assert (result.cost_usd, dict(result.usage)) == (0.25, {"input_tokens": 7})


def test_unknown_cost_stays_unknown(scene):
    assert scene.answered().result(0).cost_usd is None


def test_cost_of_a_failed_call_is_emitted(scene, raising):
    scene.ask()
    scene.work(raising(Permanent("refused", usage={"output_tokens": 3}, cost_usd=0.5)))

    [event] = scene.heard.named("job.failed")
    assert (event.data["usage"], event.data["cost_usd"]) == ({"output_tokens": 3}, 0.5)


def test_cost_of_a_fenced_answer_is_emitted(scene, running):
    scene.ask()
    late = running(lambda body: scene.work(lambda: Answer(value=body(), cost_usd=0.5)))
    scene.store.invalidate(scene.delivery().job.key)
    late.finish()

    assert [0.5] == [event.data["cost_usd"] for event in scene.heard.named("job.fenced")]


def test_cost_of_a_fenced_failure_is_emitted(scene, running, raising):
    scene.ask()
    refused = raising(Permanent("refused", cost_usd=0.5))
    late = running(lambda body: scene.work(lambda: [body(), refused()]))
    scene.store.invalidate(scene.delivery().job.key)
    late.finish()

    assert [0.5] == [event.data["cost_usd"] for event in scene.heard.named("job.fenced")]


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

    assert [event.name for event in scene.heard][-2:] == ["job.unstored", "job.unkept"]
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


class StandsStill:
    """A process that stands still for so many seconds after its lease was granted."""

    def __init__(self, scene, seconds):
        self._scene, self._start, self.now, self._seconds = scene, scene.store.start, 0.0, seconds
        scene.fail_on("start", times=0)
        scene.store.start = self.start
        scene.executor = replace(scene.executor, clock=lambda: self.now)

    def start(self, job, lease, *kept):
        reply = self._start(job, lease, *kept)
        self.now += self._seconds
        self._scene.clock.advance(self._seconds)
        return reply


def test_process_that_stood_still_past_its_lease_does_not_pay(scene):
    asked = scene.ask()
    StandsStill(scene, scene.spec.lease)

    executed = scene.work(never)

    assert executed == Deferred(key=asked.key, job=asked.job, reason="stalled", after=0.0)
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

    def overtaken(job, lease, *kept):
        reply = still.start(job, lease, *kept)
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

    def start_again(job, lease, *kept):
        scene.store.start = still._start
        return still.start(job, lease, *kept)

    scene.store.start = start_again

    assert scene.call(body).value == scene.answer
    assert calls == [1]


def test_holder_is_part_of_the_owner(scene, running):
    scene.ask()
    running(scene.work)

    assert scene.read().owner.startswith("worker-1:7:")
