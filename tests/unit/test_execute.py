import random
from dataclasses import replace

import pytest

from askonce.answer import Answer
from askonce.errors import Configuration, Permanent, StoreUnavailable, Transient
from askonce.execute import _JITTER
from askonce.execution import Computed, Deferred, Failed, Reused, Skipped
from askonce.outcomes import Admitted, Hit
from askonce.record import Status
from askonce.spec import RetryPolicy
from askonce.spend import NOTHING
from askonce.store import Write

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


def test_answer_of_an_earlier_job_costs_the_job_that_failed_after_it_nothing(scene, raising):
    paid = Answer(scene.answer, cost_usd=0.5, usage={"input_tokens": 7})
    scene.answered(body=lambda: paid)
    own = scene.work(never)
    scene.clock.advance(1)
    scene.answered(body=raising(Permanent("refused")), force=True)
    scene.clock.advance(scene.spec.failure_ttl)

    again = scene.work(never)

    assert [Reused] * 2 == [type(own), type(again)]
    assert again.result.job == again.job
    assert (0.5, 0.5, NOTHING) == (own.spend.cost_usd, again.result.cost_usd, again.spend)


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

    ended = {"kind": "permanent", "reason": "http_404", "attempts": 1, "spend": NOTHING}
    assert executed == Failed(key=asked.key, job=asked.job, **ended)
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


def test_holder_is_part_of_the_owner(scene, running):
    scene.ask()
    running(scene.work)

    assert scene.read().owner.startswith("worker-1:7:")
