"""Who is told what of a job that is cancelled while its call is under way."""

import pytest

from askonce import inline
from askonce.cancel import cancel_keys
from askonce.errors import JobFailed, Permanent, Postponed, Transient
from askonce.execution import Computed, Failed
from askonce.key import identify
from askonce.spend import Spend
from askonce.store import Cancellation

REFUSED = Postponed("rate_limited", retry_after=5.0)


@pytest.fixture
def cancelling(scene):
    """Make a body that is cancelled during its call, which then ends with an error."""

    def make(error=None):
        def body():
            key = scene.sender.sent[-1].job.key
            assert [(key, Cancellation.RUNNING)] == list(cancel_keys(scene.store, [key]))
            if error is not None:
                raise error
            return scene.answer

        return body

    return make


@pytest.mark.parametrize(
    ("error", "attempts"), [(Transient("http_503"), 1), (REFUSED, 0)], ids=["for now", "unpaid"]
)
def test_call_that_gives_no_answer_after_a_cancel_is_not_made_again(scene, cancelling, error, attempts):
    asked = scene.ask()

    ended = scene.work(cancelling(error))

    assert isinstance(ended, Failed)
    assert ("cancelled", "cancelled", attempts) == (ended.kind, ended.reason, ended.attempts)
    with pytest.raises(JobFailed) as told:
        asked.result(0.0)
    assert ("cancelled", "cancelled", attempts) == (told.value.kind, told.value.reason, told.value.attempts)
    assert [] == scene.deferred
    [event] = scene.heard.named("job.failed")
    assert ("cancelled", "cancelled") == (event.data["kind"], event.data["reason"])


def test_waiter_of_a_cancelled_call_is_told_what_was_paid(scene, cancelling):
    asked = scene.ask()
    scene.work(cancelling(Transient("http_503", cost_usd=0.25)))

    with pytest.raises(JobFailed) as told:
        asked.result(0.0)
    assert 0.25 == told.value.cost_usd


def test_worker_that_gives_back_a_cancelled_job_names_what_its_attempts_cost(scene, raising, cancelling):
    scene.answered(body=raising(Transient("http_503", cost_usd=0.25)))
    scene.clock.advance(9)

    ended = scene.work(cancelling(REFUSED))

    assert (1, 0.25, Spend(cost_usd=0.25)) == (ended.attempts, ended.spend.cost_usd, ended.spend)


def test_answer_of_a_cancelled_call_is_kept(scene, cancelling):
    asked = scene.ask()

    assert isinstance(scene.work(cancelling()), Computed)
    assert scene.answer == asked.result(0.0).value


def test_cancelled_call_that_fails_for_good_says_so(scene, cancelling):
    asked = scene.ask()
    scene.work(cancelling(Permanent("http_404")))

    with pytest.raises(JobFailed, match="http_404"):
        asked.result(0.0)


def test_inline_call_that_is_cancelled_is_not_made_again(scene):
    calls, key = [], identify(scene.spec, scene.question).key

    def body():
        calls.append(1)
        scene.store.cancel(key)
        raise Transient("http_503")

    with pytest.raises(JobFailed) as told:
        scene.call(body)

    assert ([1], "cancelled") == (calls, told.value.kind)


def test_inline_caller_who_waited_before_the_cancel_does_not_undo_it(
    scene, running, threads, eventually, monkeypatch
):
    monkeypatch.setattr(inline, "POLL", 0.01)
    key = scene.ask().key

    def fail_after(body):
        body()
        raise Transient("http_503")

    other = running(lambda body: scene.work(lambda: fail_after(body)))
    looks = scene.fail_on("read", times=0)
    caller = threads.submit(scene.call, lambda: pytest.fail("another call was made"))
    eventually(lambda: looks.calls)
    scene.store.cancel(key)
    seen = looks.calls

    eventually(lambda: looks.calls > seen + 3)
    other.finish()

    assert "idle" == scene.read(key).flight, "its job goes on"
    with pytest.raises(JobFailed) as told:
        caller.result(10)
    assert ("cancelled", 1) == (told.value.kind, told.value.attempts)
