"""Each end of a job where it ran is one line, with what the run took and paid."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.answer import Answer
from askonce.errors import Permanent, Postponed, StoreUnavailable, Transient
from askonce.events import Event, EventType
from askonce.log import fields_of
from askonce.spec import RetryPolicy

USAGE = {"input_tokens": 100, "output_tokens": 20, "cached_tokens": 60}
PAID = Answer(value="a", cost_usd=0.25, usage=USAGE)


@pytest.fixture
def done(scene):
    """Return the fields of the only end that was emitted."""

    def one():
        ends = scene.heard.named("job.done")
        assert 1 == len(ends)
        [event] = ends
        return {**event.data, "task": event.task, "key": event.key, "job": event.job}

    return one


def test_end_has_all_that_an_operator_asks_of_a_job(scene, done):
    scene.spec = replace(scene.spec, shown=("currency",))
    asked = scene.ask()
    scene.clock.advance(3)

    scene.work(lambda: PAID)

    assert {**done(), "run_seconds": 0} == {
        "task": "rates.fetch",
        "key": asked.key,
        "job": asked.job,
        "outcome": "done",
        "source": "call",
        "reason": "",
        "age_seconds": 0.0,
        "wait_seconds": 3.0,
        "run_seconds": 0,
        "cost_usd": 0.25,
        "tokens": 120,
        "attempts": 1,
        "size": 4,
        "ttl_seconds": scene.spec.soft_ttl,
        "request_ids": "",
        "ids": (("currency", "BRL"),),
    }


@pytest.mark.parametrize(
    "admitted_at", [0, -(10**400), 10**400, 9 * 10**15], ids=["none", "past", "far", "future"]
)
def test_wait_that_cannot_be_is_unknown(scene, done, admitted_at):
    scene.ask()
    message = scene.sender.sent[-1]
    scene.sender.sent[-1] = message._replace(job=message.job._replace(admitted_at=admitted_at))

    scene.work(lambda: PAID)

    assert (None, "done") == (done()["wait_seconds"], done()["outcome"])


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [(Permanent("http_404"), "permanent", "http_404"), (Transient("http_503"), "quarantined", "http_503")],
)
def test_failure_is_an_end_with_its_kind(scene, raising, done, error, outcome, reason):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1)))

    scene.answered(body=raising(error))

    assert (outcome, reason, 1) == (done()["outcome"], done()["reason"], done()["attempts"])


def test_attempts_before_the_last_one_are_no_end(scene, raising):
    scene.answered(body=raising(Transient("http_503", usage=USAGE, cost_usd=0.5)))
    assert [] == scene.heard.named("job.done")
    scene.clock.advance(1_000)

    scene.work(lambda: PAID)

    [end], [before] = scene.heard.named("job.done"), scene.heard.named("job.deferred")
    # Each run's own: their sum is what the job cost.
    assert (0.25, 0.5, 2) == (end.data["cost_usd"], before.data["cost_usd"], end.data["attempts"])


def test_job_that_is_given_back_has_no_end(scene, raising):
    scene.answered(body=raising(Postponed("rate_limited", after=5.0)))

    assert [] == scene.heard.named("job.done")


def test_further_messages_of_a_job_reuse_its_answer_and_are_no_end(scene, done):
    scene.answered()
    scene.clock.advance(7)

    for _ in range(3):
        scene.work(lambda: pytest.fail("called"))

    assert "done" == done()["outcome"]
    assert [{"source": "cache", "age_seconds": 7.0}] * 3 == [
        event.data for event in scene.heard.named("job.reused")
    ]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Permanent("http_404"), {"kind": "permanent", "reason": "http_404"}),
        (Transient("http_503"), {"kind": "quarantined", "reason": "http_503"}),
    ],
    ids=["permanent", "dead"],
)
def test_further_messages_of_a_failed_job_are_no_end(scene, raising, done, error, why):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1)))
    scene.answered(body=raising(error))

    for _ in range(3):
        scene.work(lambda: pytest.fail("called"))

    assert why["kind"] == done()["outcome"]
    assert [why] * 3 == [event.data for event in scene.heard.named("job.negative")]
    assert 1 == len(scene.heard.named("job.failed"))


def test_message_of_something_else_that_meets_an_answer_is_a_hit_and_no_end(scene, done):
    scene.answered()

    scene.run_foreign(lambda: pytest.fail("called"))

    assert ("done", 1) == (done()["outcome"], len(scene.heard.named("job.hit")))


def test_hits_without_the_store_are_no_ends(scene, done):
    scene.use(MemoryStore(scene.clock), replace(scene.spec, on_store_down="local"))
    scene.fail_on("admit")

    scene.call(lambda: PAID)
    for _ in range(3):
        scene.call(lambda: pytest.fail("called"))

    assert "unstored" == done()["outcome"]
    assert 3 == len(scene.heard.named("job.reused"))


def test_answer_of_an_overtaken_run_is_paid_and_no_end_of_its_job(scene):
    asked = scene.ask()

    scene.work(lambda: scene.store.invalidate(asked.key) and PAID)

    [fenced] = scene.heard.named("job.fenced")
    assert (0.25, []) == (fenced.data["cost_usd"], scene.heard.named("job.done"))


def test_failure_of_an_overtaken_run_is_paid_and_no_end_of_its_job(scene):
    asked = scene.ask()

    def body():
        scene.store.invalidate(asked.key)
        raise Permanent("http_404", usage=USAGE, cost_usd=0.25)

    scene.work(body)

    [fenced] = scene.heard.named("job.fenced")
    assert ("http_404", 0.25, []) == (
        fenced.data["reason"],
        fenced.data.get("cost_usd"),
        scene.heard.named("job.done"),
    )


def test_job_that_is_cancelled_under_way_ends_once(scene, raising, done):
    asked = scene.ask()

    def body():
        scene.store.cancel(asked.key)
        raise Transient("http_503")

    scene.work(body)

    assert "cancelled" == done()["outcome"]


def test_job_that_ends_before_its_run_has_an_end(scene, done):
    scene.ask(expires=5.0)
    scene.clock.advance(6)

    for _ in range(2):
        scene.work(lambda: pytest.fail("called"))

    assert ("expired", "expired") == (done()["outcome"], done()["reason"])


def test_answer_that_waits_for_its_store_is_an_end(scene, done):
    scene.ask()
    scene.fail_on("complete")

    scene.work(lambda: PAID)

    assert ("unstored", 0.25, 120) == tuple(done()[name] for name in ("outcome", "cost_usd", "tokens"))


def test_call_without_the_store_is_an_end(scene, done):
    scene.use(MemoryStore(scene.clock), replace(scene.spec, on_store_down="local"))
    scene.fail_on("admit", times=1)

    scene.call(lambda: PAID)

    assert ("unstored", 0.25, 1) == tuple(done()[name] for name in ("outcome", "cost_usd", "attempts"))
    assert "wait_seconds" not in done()


@pytest.mark.parametrize(
    ("usage", "tokens"), [({}, None), ({"input_tokens": 5}, None), (MappingProxyType(USAGE), 120)]
)
def test_unknown_tokens_are_unknown_and_never_0(scene, done, usage, tokens):
    scene.answered(body=lambda: Answer(value=1, usage=usage))

    assert (tokens, None) == (done()["tokens"], done()["cost_usd"])


# What caches call these events.


def test_answer_that_was_too_old_for_its_caller_is_an_event(scene):
    asked = scene.stale()
    scene.ask()

    [event] = scene.heard.named("answer.expired")
    assert (asked.key, scene.spec.soft_ttl) == (event.key, event.data["age_seconds"])
    assert ["job.admitted"] * 2 == [each.name for each in scene.heard if each.type.also == "cache_miss"]


def test_fresh_answer_that_is_made_anew_has_not_expired(scene):
    scene.answered()

    scene.ask(force=True)

    assert [] == scene.heard.named("answer.expired")


def test_invalidated_record_is_an_event(scene):
    asked = scene.answered()
    scene.store.report_to(scene.heard.append)

    scene.store.invalidate(asked.key)
    scene.store.invalidate("f" * 64)

    assert [asked.key] == [event.key for event in scene.heard.named("answer.cleared")]


SEEDS = {
    "cache_hit",
    "cache_miss",
    "cache_set",
    "cache_expired",
    "cache_stale",
    "cache_cleared",
    "redis_connected",
    "redis_connection_failed",
}


def test_events_have_the_names_that_caches_give_them():
    assert SEEDS == {kind.also for kind in EventType} - {""}


def test_line_has_both_names_and_only_a_stored_answer_is_set():
    stored = Event(EventType.JOB_DONE, data={"outcome": "done", "size": 3})
    failed = Event(EventType.JOB_DONE, data={"outcome": "permanent"})

    assert "cache_set" == fields_of(stored)["also"]
    assert "also" not in fields_of(failed)
    assert "cache_hit" == fields_of(Event(EventType.JOB_HIT))["also"]


def test_id_of_a_payload_hides_no_field_of_the_event():
    event = Event(
        EventType.JOB_DONE, "t", "k", "j", {"outcome": "done", "ids": (("job", "x"), ("order_id", 7))}
    )

    assert {"job": "j", "order_id": 7}.items() <= fields_of(event).items()


def test_start_that_the_store_does_not_answer_has_no_end(scene):
    scene.ask()
    scene.fail_on("start")

    with pytest.raises(StoreUnavailable):
        scene.work()

    assert [] == scene.heard.named("job.done")
