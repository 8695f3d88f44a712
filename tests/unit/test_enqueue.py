from dataclasses import replace

import pytest

from askonce.errors import (
    FingerprintMismatch,
    JobFailed,
    PayloadInvalid,
    Permanent,
    StoreUnavailable,
    Transient,
)
from askonce.outcomes import Admitted, Attached, Backoff, Conflict, Duplicate, Hit, Negative
from askonce.spec import RetryPolicy

CORRECTED = {"currency": "BRL", "day": "2026-11-21"}
#: The events of the end of a run.
ENDS = ("job.completed", "job.failed", "job.done")
OTHER = {"currency": "EUR", "day": "2026-11-20"}


def spent(scene, raising, on_give_up):
    """Fail a job for good after its only attempt."""
    policy = RetryPolicy(max_attempts=1, base=5.0, on_give_up=on_give_up)
    scene.use(scene.store, replace(scene.spec, retry=policy))
    scene.ask()
    scene.work(raising(Transient("http_503")))


def test_first_caller_is_admitted_and_one_message_is_sent(scene):
    asked = scene.ask()

    assert isinstance(asked, Admitted)
    assert asked.stale is None
    [message] = scene.sender.sent
    assert (message.job.task, message.job.key, message.job.id) == ("rates.fetch", asked.key, asked.job)
    assert message.job.payload == b'{"currency":"BRL","day":"2026-11-20"}'
    assert message.job.fingerprint == scene.read().fingerprint


def test_second_caller_attaches_and_sends_nothing(scene):
    first = scene.ask()
    second = scene.ask()

    assert isinstance(second, Attached)
    assert (second.key, second.job) == (first.key, first.job)
    assert len(scene.sender.sent) == 1


def test_caller_attaches_to_a_running_job(scene, running):
    first = scene.ask()
    running(scene.work)

    second = scene.ask()

    assert isinstance(second, Attached)
    assert second.job == first.job


def test_both_callers_get_the_answer(scene):
    first, second = scene.ask(), scene.ask()
    scene.work()

    assert first.result(0).value == scene.answer
    assert second.result(0).value == scene.answer


def test_duplicate_is_rejected_while_an_equal_job_is_in_flight(scene):
    first = scene.ask()
    second = scene.ask(on_duplicate="reject")

    assert second == Duplicate(key=first.key, job=first.job)
    with pytest.raises(JobFailed, match="duplicate"):
        second.result(0)
    assert len(scene.sender.sent) == 1


def test_refused_duplicate_leaves_the_job_as_it_is(scene):
    first = scene.ask()
    before = scene.read()
    scene.ask(on_duplicate="reject")

    assert scene.read() == before
    scene.work()
    assert first.result(0).value == scene.answer


def test_fresh_answer_is_a_hit_with_its_age(scene):
    made = scene.answered()
    scene.clock.advance(7)

    asked = scene.ask()

    assert isinstance(asked, Hit)
    assert asked.job == made.job
    assert (asked.answer.value, asked.answer.source, asked.answer.age) == (scene.answer, "cache", 7.0)
    assert asked.result(0) is asked.answer
    assert len(scene.sender.sent) == 1


def test_stale_answer_is_refreshed_and_returned_meanwhile(scene):
    scene.stale()

    first, second = scene.ask(), scene.ask()

    assert isinstance(first, Admitted)
    assert isinstance(second, Attached)
    for asked in (first, second):
        assert (asked.stale.value, asked.stale.source, asked.stale.age) == (scene.answer, "stale", 60.0)


def test_answer_past_its_hard_limit_is_not_returned(scene):
    scene.answered()
    scene.clock.advance(scene.spec.hard_ttl)

    assert scene.ask().stale is None


def test_kept_failure_answers_for_its_payload(scene, raising):
    scene.answered(body=raising(Permanent("http_404")))

    asked = scene.ask()

    assert isinstance(asked, Negative)
    assert (asked.failure.kind, asked.failure.reason, asked.attempts) == ("permanent", "http_404", 1)
    with pytest.raises(JobFailed) as caught:
        asked.result(0)
    assert (caught.value.kind, caught.value.reason, caught.value.attempts) == ("permanent", "http_404", 1)
    assert len(scene.sender.sent) == 1


def test_quarantined_payload_stays_negative_for_days(scene, raising):
    spent(scene, raising, "quarantine")
    scene.clock.advance(86_400)

    asked = scene.ask()

    assert isinstance(asked, Negative)
    assert asked.failure.kind == "quarantined"


def test_resting_key_returns_its_wait(scene, raising):
    spent(scene, raising, "backoff")
    scene.clock.advance(2)

    asked = scene.ask()

    assert isinstance(asked, Backoff)
    assert asked.wait == 3.0
    with pytest.raises(JobFailed) as caught:
        asked.result(0)
    assert (caught.value.kind, caught.value.reason) == ("transient", "http_503")
    assert len(scene.sender.sent) == 1


def test_key_is_admitted_again_after_its_rest(scene, raising):
    spent(scene, raising, "backoff")
    scene.clock.advance(5)

    assert isinstance(scene.ask(), Admitted)


def test_resting_key_serves_its_stale_answer(scene, raising):
    scene.stale()
    spent(scene, raising, "backoff")

    asked = scene.ask()

    assert isinstance(asked, Backoff)
    assert (asked.result(0).value, asked.result(0).source) == (scene.answer, "stale")


def test_other_payload_of_a_key_is_admitted_on_replace(scene):
    first = scene.answered()
    second = scene.ask(CORRECTED)

    assert isinstance(second, Admitted)
    assert second.key == first.key
    assert second.job != first.job
    assert second.stale is None
    assert len(scene.sender.sent) == 2


def test_other_payload_of_a_key_is_refused_on_conflict(scene):
    scene.use(scene.store, replace(scene.spec, on_mismatch="conflict"))
    first = scene.answered()
    before = scene.read()

    second = scene.ask(CORRECTED)

    assert second == Conflict(key=first.key)
    assert second.job == ""
    with pytest.raises(FingerprintMismatch):
        second.result(0)
    assert scene.read() == before
    [event] = scene.heard.named("job.conflict")
    assert (event.job, event.data) == ("", {})


def test_other_key_is_a_job_of_its_own(scene):
    first, second = scene.ask(), scene.ask(OTHER)

    assert isinstance(second, Admitted)
    assert second.key != first.key


def test_other_tenant_is_a_job_of_its_own(scene):
    first, second = scene.ask(tenant="a"), scene.ask(tenant="b")

    assert isinstance(second, Admitted)
    assert second.key != first.key


def test_job_has_the_id_that_its_caller_gives(scene):
    assert scene.ask(job="my-job").job == "my-job"
    assert scene.sender.sent[0].job.id == "my-job"


def test_nothing_is_sent_while_the_store_does_not_answer(scene):
    scene.fail_on("admit")

    with pytest.raises(StoreUnavailable):
        scene.ask()
    assert scene.sender.sent == []


def test_payload_that_the_input_refuses_is_not_sent(scene):
    def refuse(_payload):
        raise PayloadInvalid(field="currency", reason="unknown")

    scene.use(scene.store, replace(scene.spec, input=refuse))

    with pytest.raises(PayloadInvalid, match="field=currency"):
        scene.ask()
    assert (scene.sender.sent, scene.heard) == ([], [])


@pytest.mark.parametrize(("limit", "passes"), [(37, True), (36, False)])
def test_payload_larger_than_the_task_allows_is_refused(scene, limit, passes):
    scene.use(scene.store, replace(scene.spec, max_payload_bytes=limit))

    if passes:
        assert isinstance(scene.ask(), Admitted)
    else:
        with pytest.raises(PayloadInvalid, match="37 bytes, more than 36"):
            scene.ask()


def test_each_outcome_is_an_event_with_its_data(scene, raising):
    scene.ask()
    scene.ask()
    scene.work()
    scene.clock.advance(3)
    scene.ask()
    scene.ask(OTHER)
    scene.work(raising(Permanent("http_404")))
    scene.ask(OTHER)

    told = [(e.name, dict(e.data)) for e in scene.heard if e.name not in ENDS]
    assert told == [
        ("job.admitted", {}),
        ("job.attached", {}),
        ("job.hit", {"age_seconds": 3.0}),
        ("job.admitted", {}),
        ("job.negative", {"kind": "permanent", "reason": "http_404"}),
    ]
    assert {event.task for event in scene.heard} == {"rates.fetch"}
    assert all(event.key and event.job for event in scene.heard)
