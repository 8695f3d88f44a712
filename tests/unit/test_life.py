"""The life of an answer as its callers and its body see it."""

import asyncio
from dataclasses import replace
from math import inf, nan

import pytest

from askonce.answer import Answer
from askonce.attempt import current_attempt
from askonce.errors import JobFailed, OptionInvalid, Permanent, ResultTimeout, StoreUnavailable, Transient
from askonce.outcomes import Attached, Backoff, Hit
from askonce.spec import JobSpec, RetryPolicy


@pytest.fixture(autouse=True)
def _still(scene):
    """What it takes to store an answer is none of the scene's time."""
    use = scene.use

    def use_still(store, spec=None):
        use(store, spec)
        scene.executor = replace(scene.executor, clock=lambda: 0.0)

    scene.use = use_still
    scene.use(scene.store)


@pytest.fixture
def aged(scene):
    """Return a function that leaves an answer, made so many seconds ago by a task of these terms."""

    def make(seconds, **terms):
        scene.use(scene.store, replace(scene.spec, soft_ttl=100.0, hard_ttl=1000.0, **terms))
        scene.answered()
        scene.clock.advance(seconds)

    return make


def test_first_caller_of_a_stale_answer_is_served_it_and_has_sent_the_refresh(scene, aged):
    aged(95.0, stale_while_revalidate=30.0)

    first, second = scene.ask(), scene.ask()
    scene.work()
    assert (Hit, Hit) == (type(first), type(second))

    assert [("stale", 5.0), ("stale", 5.0)] == [
        (each.answer.source, each.answer.stale_for) for each in (first, second)
    ]
    assert 2 == len(scene.sender.sent)
    assert "cache" == scene.ask().answer.source


def test_caller_who_names_an_age_is_served_no_older_answer(scene, aged):
    aged(95.0, stale_while_revalidate=30.0)

    assert not isinstance(scene.ask(max_age=90.0), Hit)
    assert isinstance(scene.ask(max_age=90.0), Attached)


def test_caller_may_take_an_older_answer_than_the_task_serves(scene, aged):
    aged(95.0)

    assert "stale" == scene.ask(stale_while_revalidate=10.0).answer.source


def test_stale_answer_is_served_for_a_failed_call_only_for_so_long(scene, aged, raising):
    retry = RetryPolicy(max_attempts=1, base=5.0, on_give_up="backoff")
    aged(140.0, retry=retry, stale_if_error=60.0)
    asked = scene.ask()
    scene.work(raising(Transient("http_503")))

    served, strict = scene.ask(), scene.ask(stale_if_error=10.0)
    scene.clock.advance(3.0)

    assert (Backoff, "stale") == (type(served), served.result(0).source)
    assert "stale" == asked.result(0).source
    with pytest.raises(JobFailed, match="http_503"):
        strict.result(0)
    scene.clock.advance(20.0)
    late = scene.ask()
    scene.work(raising(Transient("http_503")))
    with pytest.raises(JobFailed, match="http_503"):
        late.result(0)


def test_waiter_gets_the_stale_answer_when_the_fresh_one_takes_too_long(scene, aged):
    aged(95.0)
    asked = scene.ask()

    try:
        stale = asked.result(1.0, fresh_within=0.0)
    except ResultTimeout:
        pytest.fail("it waited on")

    assert ("stale", 95.0) == (stale.source, stale.age)
    with pytest.raises(ResultTimeout):
        asked.result(0.01, fresh_within=0.02)
    scene.work()
    assert "call" == asked.result(0, fresh_within=0.0).source


def test_waiter_without_an_earlier_answer_waits_on(scene):
    with pytest.raises(ResultTimeout):
        scene.ask().result(0.02, fresh_within=0.0)


def test_answer_says_itself_how_long_it_is_fresh(scene):
    asked = scene.ask()
    scene.work(lambda: Answer("short", ttl=10.0))
    scene.clock.advance(8.0)
    fresh = scene.ask()
    scene.clock.advance(2.0)

    assert ("short", "cache", 1.0) == (asked.result(0).value, fresh.answer.source, fresh.answer.fresh_for)
    assert not isinstance(scene.ask(), Hit)


def test_answer_that_is_fresh_for_longer_than_its_task_keeps_answers_is_kept_for_so_long(scene):
    scene.ask()
    scene.work(lambda: Answer("long", ttl=10 * scene.spec.hard_ttl))
    scene.clock.advance(8 * scene.spec.hard_ttl)

    assert "cache" == scene.ask().answer.source


@pytest.mark.parametrize("ttl", [0, -1.0, inf, nan, True, "payload text"])
def test_time_to_live_that_cannot_be_is_named_and_costs_no_answer(scene, ttl):
    asked = scene.ask()
    scene.work(lambda: Answer("paid", ttl=ttl))

    [event] = scene.heard.named("answer.ttl_refused")
    assert ("paid", "str" if ttl == "payload text" else str(ttl)) == (
        asked.result(0).value,
        event.data["ttl"],
    )
    scene.clock.advance(1.0)
    assert isinstance(scene.ask(), Hit)


def test_answer_that_is_not_kept_reaches_those_who_wait_and_nobody_else(scene):
    asked, other = scene.ask(), scene.ask()
    scene.work(lambda: Answer("once", keep=False))
    scene.clock.advance(1.0)

    assert ["once", "once"] == [asked.result(0).value, other.result(0).value]
    assert not isinstance(scene.ask(), Hit)


def test_unmodified_answer_is_fresh_again_and_pays_for_the_question_alone(scene, aged):
    scene.use(scene.store, replace(scene.spec, soft_ttl=100.0, hard_ttl=1000.0))
    scene.ask()
    scene.work(lambda: Answer("first", cost_usd=0.5, usage={"input_tokens": 100}))
    scene.clock.advance(200.0)
    asked = scene.ask()

    scene.work(lambda: current_attempt().not_modified(cost_usd=0.01, usage={"input_tokens": 1}))

    made = asked.result(0)
    assert ("first", "call", 0.51, 101) == (
        made.value,
        made.source,
        made.cost_usd,
        made.usage["input_tokens"],
    )
    assert "cache" == scene.ask().answer.source
    paid = {counter.what: n for counter, n in scene.store.tally.totals().items()}
    assert (510_000, 101) == (paid["micro_usd"], paid["tokens:input_tokens"])


def test_unmodified_needs_a_kept_answer(scene):
    asked = scene.ask()
    scene.work(lambda: current_attempt().not_modified())

    with pytest.raises(ResultTimeout):
        asked.result(0)
    assert ["LookupError@test_life.py"] == [
        event.data["reason"].rpartition(":")[0] for event in scene.heard.named("job.deferred")
    ]


def test_refresh_that_finds_a_newer_answer_pays_nothing(scene, aged):
    aged(50.0)
    seen = scene.ask().answer
    scene.ask(max_age=0)
    scene.work()

    assert isinstance(scene.ask(max_age=seen.age - 0.001), Hit)


@pytest.mark.parametrize("name", ["stale_while_revalidate", "stale_if_error"])
@pytest.mark.parametrize("seconds", [-1, nan, inf, "soon", True])
def test_time_that_cannot_be_is_refused_by_name(scene, name, seconds):
    with pytest.raises(OptionInvalid, match=name):
        scene.ask(**{name: seconds})
    with pytest.raises(ValueError, match=f"JobSpec t: {name}"):
        JobSpec(name="t", **{name: seconds})


def test_permanent_failure_is_not_hidden_by_a_stale_answer(scene, aged, raising):
    aged(95.0, stale_while_revalidate=30.0)
    scene.ask()
    scene.work(raising(Permanent("http_404")))

    with pytest.raises(JobFailed, match="http_404"):
        scene.ask().result(0)


def test_asynchronous_waiter_gets_the_stale_answer_too(scene, aged):
    aged(95.0)
    asked = scene.ask()

    stale = asyncio.run(asked.aresult(1.0, fresh_within=0.0))

    assert ("stale", 95.0) == (stale.source, stale.age)


def test_unmodified_answer_pays_for_the_attempts_that_failed(scene, raising):
    scene.use(scene.store, replace(scene.spec, soft_ttl=100.0, hard_ttl=1000.0))
    scene.ask()
    scene.work(lambda: Answer("first", cost_usd=0.5))
    scene.clock.advance(200.0)
    asked = scene.ask()
    scene.work(raising(Transient("http_503", cost_usd=0.25)))
    scene.clock.advance(100.0)

    scene.work(lambda: current_attempt().not_modified(cost_usd=0.01))

    made = asked.result(0)
    assert (0.76, 0.26) == (made.cost_usd, made.spend.own.cost_usd)


def test_store_that_is_away_for_a_moment_ends_no_wait_for_a_fresh_answer(scene, aged):
    aged(95.0)
    asked, read, away = scene.ask(), scene.store.read, [2]

    def flickering(keys):
        if away[0]:
            away[0] -= 1
            raise StoreUnavailable(verb="read", reason="TimeoutError")
        return read(keys)

    scene.store.read = flickering

    with pytest.raises(ResultTimeout):
        asked.result(0.05, fresh_within=0.0)


def test_caller_who_wants_no_stale_answer_makes_it_anew(scene, aged):
    aged(95.0, stale_while_revalidate=30.0)
    scene.caller = replace(scene.caller, serve_stale=False)
    scene.ask()

    assert "call" == scene.call().source
