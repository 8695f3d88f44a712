from dataclasses import replace
from threading import Barrier, current_thread

import pytest

from askonce.answer import Answer
from askonce.controls import Mark, Pause
from askonce.errors import (
    Configuration,
    FingerprintMismatch,
    JobFailed,
    Permanent,
    ResultTimeout,
    StoreUnavailable,
    Transient,
)
from askonce.execution import Reused
from askonce.inline import Resting
from askonce.job import Routing
from askonce.key import identify
from askonce.lost import Delivered, Lost
from askonce.record import BUCKETS, Snapshot
from askonce.spec import RetryPolicy
from askonce.store import Reply, Start

CORRECTED = {"currency": "BRL", "day": "2026-11-21"}


def never():
    pytest.fail("the body was run")


def test_call_is_made_in_the_callers_thread_and_kept(scene):
    ran_in = []

    made = scene.call(lambda: ran_in.append(current_thread()) or scene.answer)
    kept = scene.call(never)

    assert ran_in == [current_thread()]
    assert (made.value, made.source) == (scene.answer, "call")
    assert (kept.value, kept.source) == (scene.answer, "cache")
    assert kept.job == made.job


def test_job_has_the_id_that_its_caller_gives(scene):
    assert scene.call(job="my-job").job == "my-job"


def test_queued_job_is_run_here_instead_of_waited_for(scene):
    asked = scene.ask()

    result = scene.call()

    assert (result.value, result.job) == (scene.answer, asked.job)
    assert isinstance(scene.work(never), Reused)


def test_queued_job_of_another_caller_refuses_a_call_that_wants_no_duplicate(scene):
    asked = scene.ask()

    with pytest.raises(JobFailed) as refused:
        scene.call(never, reject=True)

    assert ("duplicate", asked.job) == (refused.value.kind, refused.value.job)


def test_call_that_wants_no_duplicate_goes_on_with_its_own_job(scene):
    asked = scene.ask()

    assert scene.answer == scene.call(job=asked.job, reject=True).value


def test_forced_call_is_made_once(scene):
    scene.call()

    forced = scene.call(lambda: "another", force=True)

    assert ("another", "another") == (forced.value, scene.call(never).value)


@pytest.mark.parametrize("terms", [{"force": True}, {"max_age": 0.0}, {"reject": True}], ids=min)
def test_call_that_only_the_record_can_decide_fails_without_the_store(scene, terms):
    scene.use(scene.store, replace(scene.spec, on_store_down="local"))
    scene.fail_on("admit")

    with pytest.raises(StoreUnavailable):
        scene.call(never, **terms)


def test_running_job_is_waited_for(scene, running, threads, eventually):
    asked = scene.ask()
    other = running(lambda body: scene.work(lambda: [body(), "theirs"]))
    watched = scene.fail_on("subscribe", times=0)
    caller = threads.submit(scene.call, never)
    eventually(lambda: watched.calls)

    other.finish()

    assert caller.result(10).value == [scene.answer, "theirs"]
    assert caller.result().job == asked.job


def test_running_job_is_taken_over_when_its_lease_is_over(scene, running):
    scene.ask()
    running(scene.work)
    scene.clock.advance(scene.spec.lease)

    result = scene.call(lambda: "ours")

    assert (result.value, result.attempts) == ("ours", 2)


def test_twenty_threads_make_one_call(scene, threads):
    calls, barrier = [], Barrier(20)

    def ask(_number):
        barrier.wait(10)
        return scene.call(lambda: calls.append(1) or scene.answer)

    results = list(threads.map(ask, range(20)))

    assert len(calls) == 1
    assert [result.value for result in results] == [scene.answer] * 20
    assert len({result.job for result in results}) == 1


def test_timeout_of_a_call_names_key_and_state(scene, running):
    asked = scene.ask()
    running(scene.work)

    with pytest.raises(ResultTimeout) as caught:
        scene.call(never, timeout=0.02)

    assert (caught.value.key, caught.value.state) == (asked.key, "running")


def test_failed_call_is_tried_again_after_its_rest(scene):
    policy = RetryPolicy(max_attempts=3, base=0.01)
    scene.use(scene.store, replace(scene.spec, retry=policy))
    executor = replace(scene.executor, draw=lambda low, _high: low)
    scene.caller = replace(scene.caller, runner=replace(scene.runner, executor=executor))
    calls = []

    def body():
        calls.append(1)
        if len(calls) < 3:
            raise Transient("http_503")
        return scene.answer

    result = scene.call(body)

    assert (result.value, result.attempts) == (scene.answer, 3)


def test_failed_call_is_not_passed_to_the_reaper(scene, raising):
    with pytest.raises(ResultTimeout):
        scene.call(raising(Transient("http_503")), timeout=0.02)

    assert scene.deferred == []


def test_resting_job_is_waited_for_with_few_queries(scene, raising):
    counted = scene.fail_on("admit", times=0)

    with pytest.raises(ResultTimeout):
        scene.call(raising(Transient("http_503")), timeout=0.3)

    assert counted.calls <= 5


def test_stale_answer_is_served_when_the_call_fails(scene, raising):
    scene.stale()

    result = scene.call(raising(Transient("http_503")))

    assert (result.value, result.source) == (scene.answer, "stale")


@pytest.mark.parametrize("how", ["mark", "invalidate", "keep"])
def test_stale_answer_that_is_gone_when_the_call_fails_is_not_served(scene, how):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1)))
    key = scene.stale().key
    remove = {
        "mark": lambda: scene.store.controls.mark(Mark("all")),
        "invalidate": lambda: scene.store.invalidate(key),
        "keep": lambda: scene.clock.advance(scene.spec.hard_ttl),
    }

    def fail():
        remove.pop(how, int)()
        failed()

    with pytest.raises(JobFailed, match="http_503"):
        scene.call(fail)


def test_age_of_a_stale_answer_is_that_of_the_moment_at_which_the_call_failed(scene):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1)))
    scene.stale()

    def fail():
        scene.clock.advance(20)
        failed()

    result = scene.call(fail, stale_if_error=26.0)

    # It was fresh for a tenth less than its time.
    assert (80.0, 26.0, "http_503") == (result.age, result.stale_for, result.reason)
    with pytest.raises(JobFailed, match="http_503"):
        scene.call(fail, stale_if_error=45.0, force=True)


def test_stale_answer_is_served_while_the_job_rests(scene, raising):
    scene.stale()
    scene.call(raising(Transient("http_503")))

    result = scene.call(never)

    assert (result.value, result.source) == (scene.answer, "stale")


def test_stale_answer_is_served_when_the_last_attempt_fails(scene, raising):
    policy = RetryPolicy(max_attempts=1, base=5.0, on_give_up="backoff")
    scene.use(scene.store, replace(scene.spec, retry=policy))
    scene.stale()

    result = scene.call(raising(Transient("http_503")))

    assert (result.value, result.source) == (scene.answer, "stale")


def test_stale_answer_is_served_while_a_spent_key_rests(scene, raising):
    policy = RetryPolicy(max_attempts=1, base=5.0, on_give_up="backoff")
    scene.use(scene.store, replace(scene.spec, retry=policy))
    scene.stale()
    scene.ask()
    scene.work(raising(Transient("http_503")))

    result = scene.call(never)

    assert (result.value, result.source) == (scene.answer, "stale")


def test_spent_key_that_rests_without_an_answer_fails_at_once(scene, raising):
    policy = RetryPolicy(max_attempts=1, base=5.0, on_give_up="backoff")
    scene.use(scene.store, replace(scene.spec, retry=policy))
    scene.ask()
    scene.work(raising(Transient("http_503")))

    with pytest.raises(JobFailed, match="kind=transient reason=http_503"):
        scene.call(never)


def test_call_under_its_own_failed_job_is_made_again(scene, raising):
    with pytest.raises(JobFailed):
        scene.call(raising(Configuration("http_401")), job="mine")
    counted = scene.fail_on("admit", times=0)

    assert scene.call(job="mine").value == scene.answer
    assert counted.calls == 1


def test_call_whose_run_has_nothing_to_do_does_not_spin(scene):
    counted = scene.fail_on("admit", times=0)
    scene.store.start = lambda *_, **__: Reply(Start.SUPERSEDED, Snapshot())

    with pytest.raises(ResultTimeout):
        scene.call(never, timeout=0.3)

    assert counted.calls <= 8


@pytest.mark.parametrize(
    ("error", "kind"), [(Permanent("http_404"), "permanent"), (Configuration("http_401"), "configuration")]
)
def test_call_that_cannot_succeed_fails_with_its_kind(scene, raising, error, kind):
    with pytest.raises(JobFailed) as caught:
        scene.call(raising(error))

    assert (caught.value.kind, caught.value.reason, caught.value.attempts) == (kind, error.reason, 1)


def test_kept_failure_answers_without_a_call(scene, raising):
    scene.answered(body=raising(Permanent("http_404")))

    with pytest.raises(JobFailed, match="kind=permanent reason=http_404"):
        scene.call(never)


def test_key_of_another_payload_is_refused_on_conflict(scene):
    scene.use(scene.store, replace(scene.spec, on_mismatch="conflict"))
    scene.answered()

    with pytest.raises(FingerprintMismatch):
        scene.call(never, CORRECTED)


@pytest.mark.parametrize("verb", ["admit", "start"])
def test_body_is_not_run_while_the_store_does_not_answer(scene, verb):
    scene.fail_on(verb)

    with pytest.raises(StoreUnavailable):
        scene.call(never)


def test_job_that_a_dead_caller_left_is_found_by_its_queue(scene):
    scene.fail_on("start")
    scene.caller = replace(scene.caller, route=lambda job, _row: job.routing._replace(queue="slow"))
    with pytest.raises(StoreUnavailable):
        scene.call(never)
    scene.clock.advance(scene.spec.queue_deadline)

    [lost] = scene.store.reap(range(BUCKETS), [Delivered("slow", seconds=0.0)])

    assert (Lost, Routing("slow")) == (type(lost), lost.job.routing)


def test_fallback_is_returned_and_not_kept(scene):
    first = scene.call(lambda: Answer(value=None, source="default"))
    second = scene.call()

    assert (first.value, first.source) == (None, "default")
    assert (second.value, second.source) == (scene.answer, "call")


def test_answer_that_is_not_stored_is_still_returned(scene):
    scene.use(scene.store, replace(scene.spec, lease=0.05))
    scene.fail_on("complete")

    assert scene.call().value == scene.answer


def test_caller_that_wants_no_stale_answer_waits_for_the_next_attempt(scene, raising):
    scene.stale()
    caller = replace(scene.caller, serve_stale=False)
    job = identify(scene.spec, scene.question)

    with pytest.raises(Resting) as caught:
        caller.call(scene.spec, job, raising(Transient("http_503")), timeout=5.0, longest_rest=1.0)

    assert caught.value.after == 5.0
    assert scene.call(never).source == "stale"


def test_caller_that_wants_no_stale_answer_is_told_why_there_is_none(scene, running, threads, eventually):
    policy = RetryPolicy(max_attempts=1)
    scene.use(scene.store, replace(scene.spec, retry=policy))
    scene.stale()
    scene.ask()
    other = running(lambda body: scene.work(lambda: [body(), failed()]))
    watched = scene.fail_on("subscribe", times=0)
    caller = replace(scene.caller, serve_stale=False)
    waiting = threads.submit(
        caller.call, scene.spec, identify(scene.spec, scene.question), never, timeout=5.0
    )
    eventually(lambda: watched.calls)

    other.finish()

    with pytest.raises(JobFailed, match="http_503"):
        waiting.result(10)


def failed():
    raise Transient("http_503")


def test_call_of_a_paused_task_does_not_hold_its_slot(scene):
    scene.store.controls.pause(Pause("all"), "invoice")
    job = identify(scene.spec, scene.question)

    with pytest.raises(Resting) as caught:
        scene.caller.call(scene.spec, job, never, timeout=5.0, longest_rest=1.5)

    assert 1.5 == caught.value.after
    assert 0 == scene.read(job.key).attempts


def test_call_of_a_paused_task_that_waits_is_told_of_the_pause(scene):
    scene.store.controls.pause(Pause("all"), "invoice")

    with pytest.raises(ResultTimeout) as caught:
        scene.call(never, timeout=0.3)

    assert "paused" == caught.value.state
