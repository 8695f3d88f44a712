from contextlib import contextmanager
from dataclasses import replace
from threading import Event

import pytest

from askonce import follow
from askonce.adapters.memory import MemoryStore
from askonce.controls import Pause
from askonce.errors import JobFailed, Permanent, ResultTimeout, StoreUnavailable, Superseded, Transient
from askonce.handle import Handle
from askonce.record import Status
from askonce.spec import RetryPolicy

CORRECTED = {"currency": "BRL", "day": "2026-11-21"}


class Deaf:
    """A store whose wake-ups never come."""

    def __init__(self, store):
        self._store, self.waits = store, []

    def __getattr__(self, name):
        return getattr(self._store, name)

    @contextmanager
    def subscribe(self, keys):
        with self._store.subscribe([]) as nothing:
            self.keys, self._nothing = keys, nothing
            yield self

    def add(self, keys):
        pass

    leave = add

    def wait(self, timeout):
        self.waits.append(timeout)
        return self._nothing.wait(timeout)


class Watched(Deaf):
    """A store that tells when somebody waits for a wake-up."""

    def __init__(self, store, waiting):
        super().__init__(store)
        self._waiting = waiting

    @contextmanager
    def subscribe(self, keys):
        with self._store.subscribe(keys) as subscription:
            self._subscription = subscription
            yield self

    def wait(self, timeout):
        self._waiting.set()
        return self._subscription.wait(timeout)


def test_answer_that_is_there_is_returned_at_once(scene):
    asked = scene.answered()

    result = asked.result(0)

    assert (result.value, result.source, result.attempts) == (scene.answer, "call", 1)
    assert (result.key, result.job) == (asked.key, asked.job)


def test_waiter_is_woken_by_the_end_of_the_job(scene, threads, monkeypatch):
    monkeypatch.setattr(follow, "POLL", 60.0)
    waiting = Event()
    scene.use(Watched(scene.store, waiting))
    asked = scene.ask()
    waiter = threads.submit(asked.result, 30.0)
    assert waiting.wait(10)

    scene.work()

    assert waiter.result(10).value == scene.answer


def test_waiter_without_a_wake_up_finds_the_answer_by_polling(scene, threads, monkeypatch, eventually):
    monkeypatch.setattr(follow, "POLL", 0.02)
    deaf = Deaf(scene.store)
    scene.use(deaf)
    asked = scene.ask()
    waiter = threads.submit(asked.result, 30.0)
    eventually(lambda: deaf.waits)

    scene.work()

    assert waiter.result(10).value == scene.answer
    assert max(deaf.waits) <= 0.02


def test_waiter_goes_on_waiting_during_a_retry(scene, raising):
    asked = scene.ask()
    scene.work(raising(Transient("http_503")))

    with pytest.raises(ResultTimeout):
        asked.result(0)
    scene.clock.advance(5)
    scene.work()
    assert asked.result(0).value == scene.answer


def test_timeout_names_key_and_state_and_the_job_goes_on(scene, running):
    asked = scene.ask()
    running(scene.work)

    with pytest.raises(ResultTimeout) as caught:
        asked.result(0.02)

    assert (caught.value.key, caught.value.state) == (asked.key, "running")
    assert caught.value.waited_seconds >= 0.02
    assert asked.key in str(caught.value)
    assert asked.handle.status() is Status.RUNNING


def test_waiter_enqueues_again_when_the_record_has_vanished(scene):
    asked = scene.ask()
    scene.store.invalidate(asked.key)

    with pytest.raises(ResultTimeout):
        asked.result(0)

    assert len(scene.sender.sent) == 2
    assert asked.handle.job == scene.sender.sent[1].job.id != asked.job
    scene.work()
    assert asked.result(0).value == scene.answer


def test_waiter_of_a_forced_job_enqueues_again_without_force(scene):
    scene.answered()
    asked = scene.ask(force=True)
    scene.store.invalidate(asked.key)
    scene.answered()

    assert asked.result(0).value == scene.answer
    assert len(scene.sender.sent) == 3


def test_two_waiters_of_a_vanished_record_share_one_new_job(scene):
    first, second = scene.ask(), scene.ask()
    scene.store.invalidate(first.key)

    for asked in (first, second):
        with pytest.raises(ResultTimeout):
            asked.result(0)

    assert len(scene.sender.sent) == 2
    assert first.handle.job == second.handle.job


def test_waiter_takes_the_hit_that_enqueueing_again_finds(scene):
    answer = scene.answered().result(0)
    lonely = Handle(MemoryStore(scene.clock), scene.sender.sent[0].job, lambda: answer)

    assert lonely.result(0) is answer


def test_waiter_of_a_replaced_payload_is_superseded(scene):
    asked = scene.ask()
    scene.ask(CORRECTED)
    scene.work()

    with pytest.raises(Superseded) as caught:
        asked.result(0)

    assert (caught.value.key, caught.value.job) == (asked.key, asked.job)


def test_waiter_gets_the_stale_answer_when_the_refresh_fails(scene, raising):
    scene.stale()
    asked = scene.ask()
    scene.work(raising(Transient("http_503")))

    result = asked.result(0)

    assert (result.value, result.source) == (scene.answer, "stale")


def test_waiter_gets_the_stale_answer_when_attempts_are_spent(scene, raising):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1)))
    scene.stale()
    asked = scene.answered(body=raising(Transient("http_503")))

    assert (asked.result(0).value, asked.result(0).source) == (scene.answer, "stale")


def test_waiter_gets_its_fresh_answer_while_a_later_job_runs(scene):
    asked = scene.answered()
    scene.ask(force=True)

    result = asked.result(0)

    assert (result.value, result.job) == (scene.answer, asked.job)


def test_waiter_of_a_forced_job_does_not_get_the_old_answer(scene):
    scene.answered()
    forced = scene.ask(force=True)

    with pytest.raises(ResultTimeout):
        forced.result(0)
    scene.work(lambda: "new")
    assert forced.result(0).value == "new"


def test_waiter_gets_no_stale_answer_during_the_refresh(scene):
    scene.stale()
    asked = scene.ask()

    with pytest.raises(ResultTimeout):
        asked.result(0)


def test_waiter_gets_the_reason_of_a_permanent_failure(scene, raising):
    asked = scene.answered(body=raising(Permanent("http_404")))

    with pytest.raises(JobFailed) as caught:
        asked.result(0)

    assert (caught.value.kind, caught.value.reason, caught.value.attempts) == ("permanent", "http_404", 1)
    assert (caught.value.key, caught.value.job) == (asked.key, asked.job)


def test_waiter_gets_the_reason_when_attempts_are_spent(scene, raising):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1, on_give_up="backoff")))
    asked = scene.answered(body=raising(Transient("http_503")))

    with pytest.raises(JobFailed, match="kind=transient reason=http_503"):
        asked.result(0)


def test_failure_of_an_earlier_job_is_not_this_jobs_end(scene, raising):
    scene.answered(body=raising(Permanent("http_404")))
    asked = scene.ask(force=True)

    with pytest.raises(ResultTimeout):
        asked.result(0)


def test_waiter_gets_an_error_when_the_store_does_not_answer(scene):
    scene.ask()
    failing = scene.fail_on("read")
    waiter = Handle(failing, scene.sender.sent[0].job, lambda: pytest.fail("enqueued again"))

    with pytest.raises(StoreUnavailable):
        waiter.result(0)


def test_waiter_gets_an_error_when_admit_is_not_answered(scene):
    asked = scene.ask()
    scene.store.invalidate(asked.key)
    scene.fail_on("admit")
    asked = Handle(scene.store, scene.sender.sent[0].job, lambda: scene.ask().handle)

    with pytest.raises(StoreUnavailable):
        asked.result(0)


def test_waiter_of_a_paused_job_is_told_that_it_is_paused(scene):
    asked = scene.ask()
    scene.store.controls.pause(Pause("all"), "invoice")

    with pytest.raises(ResultTimeout) as caught:
        asked.result(0)
    scene.store.controls.resume(Pause("all"))
    with pytest.raises(ResultTimeout) as after:
        asked.result(0)

    assert ("paused", "queued") == (caught.value.state, after.value.state)
