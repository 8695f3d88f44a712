import pytest

from askonce.errors import Permanent, SendFailed
from askonce.outcomes import Admitted, Attached, Hit
from askonce.record import Status


def test_force_admits_a_new_job_although_an_answer_is_fresh(scene):
    scene.answered()
    asked = scene.ask(force=True)

    assert isinstance(asked, Admitted)
    assert len(scene.sender.sent) == 2


def test_force_admits_a_new_job_although_a_failure_is_kept(scene, raising):
    scene.answered(body=raising(Permanent("http_404")))

    assert isinstance(scene.ask(force=True), Admitted)


def test_force_joins_an_equal_job_in_flight(scene):
    first = scene.ask()
    second = scene.ask(force=True)

    assert isinstance(second, Attached)
    assert second.job == first.job


@pytest.mark.parametrize(("max_age", "kind"), [(10.0, Hit), (9.9, Admitted), (0.0, Admitted)])
def test_answer_older_than_max_age_is_no_hit(scene, max_age, kind):
    scene.answered()
    scene.clock.advance(10)

    assert isinstance(scene.ask(max_age=max_age), kind)


def test_message_not_started_in_time_is_sent_again_under_its_job(scene):
    first = scene.ask()
    scene.clock.advance(scene.spec.queue_deadline)
    scene.deliver()

    second = scene.ask()

    assert isinstance(second, Attached)
    assert second.job == first.job
    assert [message.job.id for message in scene.sender.sent] == [first.job, first.job]
    assert [event.data for event in scene.heard.named("job.resent")] == [{"resends": 1}]


def test_job_without_a_message_is_sent_by_a_later_caller(scene):
    scene.sender.refuses = True
    with pytest.raises(SendFailed) as caught:
        scene.ask()
    scene.sender.refuses = False

    assert scene.store.read([caught.value.key])[0].status is Status.QUEUED
    assert isinstance(scene.ask(), Attached)
    assert scene.sender.sent == []
    scene.clock.advance(scene.spec.queue_deadline)
    scene.deliver()
    scene.ask()
    assert [message.job.id for message in scene.sender.sent] == [caught.value.job]
    assert scene.heard.names == ["job.admitted", "job.send_failed", "job.attached", "job.resent"]


def test_message_that_was_sent_again_is_not_sent_twice_when_counting_it_fails(scene):
    first = scene.ask()
    scene.clock.advance(scene.spec.queue_deadline)
    scene.deliver()
    scene.fail_on("resent")

    second = scene.ask()

    assert (Attached, first.job, False) == (type(second), second.job, second.degraded)
    assert [message.job.id for message in scene.sender.sent] == [first.job, first.job]
