"""What a body raises to steer Celery is a failure of its job; only the record sends messages."""

import time
from datetime import UTC, datetime
from itertools import count

import pytest
from celery.exceptions import Ignore, MaxRetriesExceededError, Reject, Retry

from askonce.adapters.celery import IdempotentTask
from askonce.errors import Configuration, JobFailed, Permanent, Transient
from askonce.outcomes import Admitted
from askonce.record import Status
from askonce.spec import JobSpec, RetryPolicy
from tests.deadlines import eventually, stretched

pytestmark = pytest.mark.integration

SPEC = JobSpec(retry=RetryPolicy(max_attempts=3, base=0.02), failure_ttl=60.0)


class Provider(ConnectionError):
    """What a client of a provider raises."""


class Bodies:
    """Tasks whose bodies do what a test set for their number."""

    def __init__(self, shop):
        self.shop, self.starts, self._does = shop, {}, {}
        self.steered = self._add("steered", max_retries=5)
        left_out = (ZeroDivisionError,)
        self.auto = self._add(
            "auto",
            autoretry_for=(Exception,),
            dont_autoretry_for=left_out,
            default_retry_delay=1,
            max_retries=5,
        )
        self.backing_off = self._add(
            "backing_off", autoretry_for=(Provider,), retry_backoff=7, retry_jitter=False
        )
        self.impatient = self._add("impatient", autoretry_for=(Provider,), max_retries=1)

    def _add(self, name, **options):
        @self.shop.app.task(name=name, base=IdempotentTask, spec=SPEC, bind=True, shared=False, **options)
        def body(task, n):
            self.starts.setdefault(n, []).append(task.request.retries)
            return self._does[n](task, len(self.starts[n]))

        return body

    def enqueue(self, does, task=None):
        """Enqueue a payload for which the body *does* this: it gets the task and the number of the start."""
        n = next(_numbers)
        self._does[n] = does
        return n, (task or self.steered).enqueue({"n": n})

    def deferred(self, outcome):
        """Return the rests of this job, with their reasons."""
        return [
            (event.data["reason"], round(event.data["after_seconds"]))
            for event in self.shop.heard
            if event.job == outcome.job and event.name == "job.deferred"
        ]


_numbers = count(1)


@pytest.fixture(scope="module")
def bodies(new_shop):
    shop = new_shop("steering")
    bodies = Bodies(shop)
    with shop.worker():
        yield bodies


def failing(times, error, answer="answer"):
    def does(_task, start):
        if start <= times:
            raise error
        return answer

    return does


def retrying(times, **options):
    def does(task, start):
        if start <= times:
            raise task.retry(**options)
        return "answer"

    return does


def end_of(outcome):
    """Return the answer, or the reason why there is none."""
    try:
        return outcome.result(stretched(30)).value
    except JobFailed as failure:
        return failure.reason


def failed(outcome):
    with pytest.raises(JobFailed) as caught:
        outcome.result(stretched(20))
    return caught.value.kind, caught.value.reason


def rested(bodies, outcome):
    """Wait until the first attempt has failed."""
    eventually(lambda: bodies.deferred(outcome))


def test_retry_is_a_failure_for_now_and_the_record_tries_again(bodies):
    n, outcome = bodies.enqueue(retrying(1, countdown=1))

    assert ("answer", 2) == (outcome.result(stretched(20)).value, outcome.result(0).attempts)
    assert [0, 1] == bodies.starts[n]
    assert [("retry", 1)] == bodies.deferred(outcome)


def test_retries_are_counted_beyond_the_attempts_of_the_spec(bodies):
    n, outcome = bodies.enqueue(failing(4, Provider("away")), bodies.auto)

    assert "answer" == end_of(outcome)
    assert [0, 1, 2, 3, 4] == bodies.starts[n]
    assert [("Provider", 1)] * 4 == bodies.deferred(outcome)


def test_retry_without_a_rest_rests_as_celery_does(bodies):
    n, outcome = bodies.enqueue(failing(9, Provider("away")), bodies.impatient)

    rested(bodies, outcome)

    assert [("Provider", 180)] == bodies.deferred(outcome)
    assert ([0], Status.QUEUED) == (bodies.starts[n], outcome.handle.status())


def test_spent_retries_end_the_job_with_the_name_of_the_cause(bodies):
    n, outcome = bodies.enqueue(retrying(9, exc=Provider("away"), countdown=1, max_retries=1))

    assert ("quarantined", "Provider") == failed(outcome)
    assert [0, 1] == bodies.starts[n]


def test_body_may_answer_when_no_retry_is_left(bodies):
    def does(task, _start):
        try:
            raise task.retry(countdown=1, max_retries=0)
        except MaxRetriesExceededError:
            return "fallback of its own"

    _, outcome = bodies.enqueue(does)

    assert "fallback of its own" == end_of(outcome)


def test_retry_backoff_is_the_rest(bodies):
    _, outcome = bodies.enqueue(failing(9, Provider("away")), bodies.backing_off)

    rested(bodies, outcome)

    assert [("Provider", 7)] == bodies.deferred(outcome)


@pytest.mark.parametrize(
    "when",
    [{"countdown": 40}, {"eta": datetime.fromtimestamp(time.time() + 40, UTC)}],
    ids=["countdown", "eta"],
)
def test_rest_of_a_retry_is_the_bodys_wish(bodies, when):
    _, outcome = bodies.enqueue(retrying(9, **when))

    rested(bodies, outcome)

    [(_, rest)] = bodies.deferred(outcome)
    assert 0 < rest <= 40


def test_longer_wish_of_the_provider_wins(bodies):
    _, outcome = bodies.enqueue(retrying(9, exc=Transient("http_429", retry_after=60.0), countdown=1))

    rested(bodies, outcome)

    assert [("http_429", 60)] == bodies.deferred(outcome)


def test_retry_that_is_not_raised_is_heeded(bodies):
    def does(task, start):
        if start == 1:
            task.retry(countdown=1, throw=False)
        return start

    n, outcome = bodies.enqueue(does)

    assert 2 == outcome.result(stretched(20)).value
    assert [0, 1] == bodies.starts[n]


def test_retry_raised_by_hand_keeps_the_attempts_of_the_spec(bodies):
    n, outcome = bodies.enqueue(failing(9, Retry(when=1, exc=Provider("away"))))

    assert ("quarantined", "Provider") == failed(outcome)
    assert 3 == len(bodies.starts[n])


@pytest.mark.parametrize("error", [Permanent("http_404"), Configuration("http_401")], ids=lambda e: e.kind)
def test_autoretry_makes_no_retry_of_a_final_failure(bodies, error):
    n, outcome = bodies.enqueue(failing(9, error), bodies.auto)

    assert (error.kind, error.reason) == failed(outcome)
    assert [0] == bodies.starts[n]


def test_exception_that_autoretry_leaves_out_is_the_last(bodies):
    n, outcome = bodies.enqueue(failing(9, ZeroDivisionError()), bodies.auto)

    assert ("quarantined", "ZeroDivisionError") == failed(outcome)
    assert [0] == bodies.starts[n]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"args": (1,)}, "args"),
        ({"kwargs": {"n": 1}}, "kwargs"),
        ({"queue": "other"}, "queue"),
        ({"countdown": 2 * 86_400}, "countdown"),
        ({"eta": datetime.fromtimestamp(time.time() + 2 * 86_400, UTC)}, "eta"),
        ({"countdown": "soon"}, "countdown"),
    ],
)
def test_retry_that_the_record_cannot_follow_is_refused_by_name(bodies, options, named):
    n, outcome = bodies.enqueue(retrying(9, **options))

    assert ("configuration", f"retry_refused:{named}") == failed(outcome)
    assert [0] == bodies.starts[n]


@pytest.mark.parametrize(
    ("error", "reason"), [(Ignore(), "ignored"), (Reject("no", requeue=False), "rejected")]
)
def test_ignore_and_reject_end_the_job_without_an_answer(bodies, error, reason):
    n, outcome = bodies.enqueue(failing(9, error))

    assert ("cancelled", reason) == failed(outcome)
    assert [0] == bodies.starts[n]
    assert isinstance(bodies.steered.enqueue({"n": n}), Admitted)


def test_reject_with_requeue_puts_the_job_back_without_an_attempt(bodies):
    n, outcome = bodies.enqueue(failing(4, Reject("later", requeue=True)))

    assert "answer" == end_of(outcome)
    assert 1 == outcome.result(0).attempts
    assert [0] * 5 == bodies.starts[n]


@pytest.mark.parametrize("verb", ["replace", "add_to_chord"])
def test_body_that_sends_another_task_in_its_place_is_refused(bodies, verb):
    def does(task, _start):
        return getattr(task, verb)(bodies.shop.note.s(1, 2))

    n, outcome = bodies.enqueue(does)

    assert ("configuration", f"{verb}_refused") == failed(outcome)
    assert [0] == bodies.starts[n]
    assert bodies.shop.calls.of(2) == []


def test_steering_sends_no_message_but_the_records(bodies):
    n, outcome = bodies.enqueue(retrying(2, countdown=1))
    outcome.result(stretched(20))

    eventually(bodies.shop.drained)

    assert ["job.deferred"] * 2 + ["job.completed"] == [
        name
        for name in bodies.shop.names(outcome.job)
        if name in ("job.deferred", "job.completed", "job.skipped")
    ]
    assert 3 == len(bodies.starts[n])


def test_task_called_directly_raises_what_celery_raises(bodies):
    n = next(_numbers)
    bodies._does[n] = retrying(9, exc=Provider("away"))

    with pytest.raises(Provider):
        bodies.steered(n)
