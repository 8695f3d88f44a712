"""Kept answers that a decision may serve, may not serve, or cannot read."""

from dataclasses import replace

import pytest

from askonce import answer
from askonce.answer import Codec, Encoded
from askonce.decide import Policy
from askonce.decision import Refuse, Run, Why
from askonce.errors import AnswerUnreadable, Configuration, JobFailed, Permanent, Transient
from askonce.execution import Computed, Reused, Skipped
from askonce.outcomes import Admitted, Unreadable
from askonce.spec import RetryPolicy
from askonce.store import Admission


def never():
    pytest.fail("the body was run")


def spent(scene, raising, on_give_up):
    """Fail a job in its only attempt; an earlier answer stays."""
    policy = RetryPolicy(max_attempts=1, base=5.0, on_give_up=on_give_up)
    scene.use(scene.store, replace(scene.spec, retry=policy))
    scene.ask()
    scene.work(raising(Transient("http_503")))


def resting(scene, raising):
    scene.ask()
    scene.work(raising(Transient("http_503")))


def damage(scene, data=b"d\0\0\0\x09damaged"):
    """Replace the kept answer."""
    scene.store._records.by_key[scene.sender.sent[0].job.key].value.answer = Encoded(data, b"")


@pytest.mark.parametrize("policy", Policy)
def test_damaged_answer_admits_one_new_job(scene, policy):
    made = scene.answered()
    damage(scene)
    before = len(scene.heard)

    decision, outcomes = scene.decide(policy)

    assert (type(decision), decision.new) == (Run, True)
    assert decision.job != made.job
    assert outcomes == [Admission.HIT, Admission.ADMITTED]
    assert [(each.name, each.job) for each in scene.heard[before:]] == [("job.admitted", decision.job)]


def test_damaged_answer_is_enqueued_once_more_and_replaced(scene):
    scene.answered()
    damage(scene)

    first, second = scene.ask(), scene.ask()
    scene.work(lambda: "new")

    assert (type(first), len({first.job, second.job}), len(scene.sender.sent)) == (Admitted, 1, 2)
    assert first.result(0).value == second.result(0).value == scene.ask().result(0).value == "new"


def test_damaged_answer_is_called_once_more_inline(scene):
    scene.answered()
    damage(scene)

    assert scene.call(lambda: "new").value == "new"
    assert scene.call(never).value == "new"


def test_damaged_answer_of_a_foreign_message_is_called_once_more(scene):
    scene.answered()
    damage(scene)

    assert isinstance(scene.run_foreign(lambda: "new"), Computed)
    assert isinstance(scene.run_foreign(never), Reused)


@pytest.fixture
def no_zstd(scene, monkeypatch):
    """A process without zstd, beside a fresh answer that another process compressed with it."""
    scene.executor = replace(scene.executor, codec=Codec(compress_from=0, compression="zstd"))
    scene.answered(body=lambda: "a" * 5000)
    monkeypatch.setattr(answer, "zstandard", None)


@pytest.mark.usefixtures("no_zstd")
class TestMissingCodec:
    """A fresh answer in a codec that is missing here is readable elsewhere: it is not paid for again."""

    @pytest.mark.parametrize("policy", Policy)
    def test_is_refused_without_a_second_admit(self, scene, policy):
        decision, outcomes = scene.decide(policy)

        assert (type(decision), decision.why) == (Refuse, Why.UNREADABLE)
        assert outcomes == [Admission.HIT]
        assert scene.heard.names[-1] == "job.unreadable"

    def test_is_an_outcome_of_enqueue(self, scene):
        asked = scene.ask()

        assert isinstance(asked, Unreadable)
        assert len(scene.sender.sent) == 1
        with pytest.raises(AnswerUnreadable, match="codec=z"):
            asked.result(0)

    def test_is_an_error_of_an_inline_call(self, scene):
        with pytest.raises(AnswerUnreadable, match="codec=z"):
            scene.call(never)

    def test_skips_a_foreign_message(self, scene):
        executed = scene.run_foreign(never)

        assert (type(executed), executed.because.word) == (Skipped, "unreadable")

    def test_skips_a_second_message(self, scene):
        executed = scene.work(never)

        assert (type(executed), executed.because.word) == (Skipped, "unreadable")

    def test_is_enqueued_again_by_force(self, scene):
        assert isinstance(scene.ask(force=True), Admitted)


STALE = {
    "quarantined": lambda scene, raising: spent(scene, raising, "quarantine"),
    "rests": lambda scene, raising: spent(scene, raising, "backoff"),
    "retried": resting,
    "none": lambda scene, _raising: scene.ask(),
}


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("failure", STALE)
def test_stale_answer_is_in_the_decision(scene, raising, failure, policy):
    scene.stale()
    STALE[failure](scene, raising)

    stale = scene.decide(policy)[0].stale

    assert (stale.value, stale.source) == (scene.answer, "stale")


@pytest.mark.parametrize("policy", Policy)
def test_stale_answer_is_not_served_after_a_permanent_failure(scene, raising, policy):
    scene.stale()
    scene.answered(body=raising(Permanent("http_404")))

    decision, _ = scene.decide(policy)

    assert (decision.why, decision.stale) == (Why.FAILED, None)


@pytest.mark.parametrize("error", [Permanent("http_404"), Configuration("http_401")])
def test_stale_answer_hides_no_failure_that_makes_it_doubtful(scene, raising, error):
    scene.stale()

    with pytest.raises(JobFailed, match=error.reason):
        scene.call(raising(error))


def test_stale_answer_that_is_unreadable_is_none(scene):
    scene.stale()
    damage(scene)

    decision, _ = scene.decide(Policy.LEAVE)

    assert (type(decision), decision.stale) == (Run, None)
