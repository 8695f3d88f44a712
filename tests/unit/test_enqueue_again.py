from dataclasses import replace
from datetime import UTC, datetime

import pytest

from askonce.errors import Permanent, SendFailed
from askonce.options import Options
from askonce.outcomes import Admitted, Attached, Duplicate, Hit
from askonce.record import Status
from askonce.store import Cancellation


def test_force_admits_a_new_job_although_an_answer_is_fresh(scene):
    scene.answered()
    asked = scene.ask(force=True)

    assert isinstance(asked, Admitted)
    assert len(scene.sender.sent) == 2


def test_force_admits_a_new_job_although_a_failure_is_kept(scene, raising):
    scene.answered(body=raising(Permanent("http_404")))

    assert isinstance(scene.ask(force=True), Admitted)


#: Options that a job in flight does not take, and how it is told.
NOT_TAKEN = {
    "queue": {"queue": "slow"},
    "priority": {"priority": 0},
    "headers": {"headers": {"trace": "1"}},
    "time_limit": {"time_limit": 5},
    "soft_time_limit": {"soft_time_limit": 5},
    "expires": {"expires": 5},
    "countdown": {"countdown": 5},
    "eta": {"eta": datetime(1970, 1, 2, tzinfo=UTC)},
}


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_option_that_the_job_in_flight_does_not_take_is_named_as_it_was_passed(scene, name):
    scene.producer = replace(scene.producer, clock=lambda: 0.0)
    first = scene.ask(priority=5)

    second = scene.ask(**NOT_TAKEN[name])

    assert (Attached, first.job, (name,)) == (type(second), second.job, second.ignored)
    assert 1 == len(scene.sender.sent)


def test_every_option_is_honoured_or_named_for_a_job_in_flight():
    of_its_age = {"force", "max_age", "stale_while_revalidate", "stale_if_error"}
    of_the_asker = {"on_duplicate", *of_its_age, "tenant", "job", "run"}

    assert Options.__annotations__.keys() == NOT_TAKEN.keys() | of_the_asker


def test_options_of_the_asker_are_honoured_for_a_job_in_flight(scene):
    first = scene.ask(run="night")

    joined = scene.ask(force=True, max_age=0, job="mine", run="day")
    refused, other = scene.ask(on_duplicate="reject"), scene.ask(tenant="acme")

    assert (Attached, first.job, ("job",)) == (type(joined), joined.job, joined.ignored)
    assert (Duplicate, Admitted) == (type(refused), type(other))
    assert Cancellation.SHARED is scene.store.cancel(first.key, "night")


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_refused_duplicate_changes_nothing_of_the_job(scene, name):
    scene.producer = replace(scene.producer, clock=lambda: 0.0)
    first = scene.ask(expires=3600, countdown=60)
    before = scene.store.read([first.key])

    assert isinstance(scene.ask(on_duplicate="reject", **NOT_TAKEN[name]), Duplicate)
    assert before == scene.store.read([first.key])


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
