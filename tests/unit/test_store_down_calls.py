import sys
from dataclasses import replace

import pytest

from askonce.answer import Answer
from askonce.controls import Mark
from askonce.errors import Configuration, JobFailed, Permanent, StoreUnavailable, Transient
from askonce.execution import Computed, Failed, Reused


@pytest.fixture
def scene(scene):
    scene.use(scene.store, replace(scene.spec, on_store_down="local"))
    return scene


def never():
    pytest.fail("called")


def down(scene, *verbs):
    """The store does not answer from now on; returns what heals it."""
    failing = [scene.fail_on(verb) for verb in verbs]

    def heal():
        for each in failing:
            each.left = 0

    return heal


def stored(scene, eventually):
    eventually(lambda: "job.stored_late" in scene.heard.names)
    return scene.heard.named("job.stored_late")[-1].data["outcome"]


def test_call_without_the_store_is_degraded(scene):
    down(scene, "admit")

    answer = scene.call()

    assert (answer.value, answer.source, answer.degraded, answer.fence) == (scene.answer, "call", True, 0)
    [event] = scene.heard.named("job.degraded")
    assert (event.task, event.data) == (scene.spec.name, {"policy": "local", "source": "call"})


@pytest.mark.parametrize("policy", ["defer", "fail"])
def test_call_is_not_made_against_the_policy(scene, policy):
    scene.use(scene.store, replace(scene.spec, on_store_down=policy))
    down(scene, "admit")

    with pytest.raises(StoreUnavailable, match="TimeoutError"):
        scene.call(never)


def test_second_caller_gets_the_answer_of_the_first(scene):
    down(scene, "admit")
    scene.call()

    again = scene.call(never)

    assert (again.value, again.source, again.degraded) == (scene.answer, "cache", True)


def test_answer_made_before_the_outage_is_served_during_it(scene):
    scene.call()
    down(scene, "admit")

    again = scene.call(never)

    assert (again.value, again.source, again.degraded) == (scene.answer, "cache", True)


def test_answer_that_was_refused_is_not_kept_for_the_time_without_a_store(scene):
    def marked_meanwhile():
        scene.clock.advance(1)
        scene.store.controls.mark(Mark("all"))
        return "old"

    scene.call(marked_meanwhile)
    down(scene, "admit")

    assert "new" == scene.call(lambda: "new").value


def test_kept_answer_grows_old_here_too(scene):
    scene.call()
    scene.clock.advance(20.0)
    down(scene, "admit")
    assert scene.call(never).age == 20.0

    scene.clock.advance(scene.spec.soft_ttl - 20.0)

    assert scene.call(lambda: "new").value == "new"


def test_callers_at_once_share_one_call(scene, threads, running):
    down(scene, "admit")
    first = running(scene.call)

    others = [threads.submit(scene.call, never) for _ in range(10)]
    first.finish()

    assert {other.result(10).value["rate"] for other in others} == {scene.answer["rate"]}


def test_call_does_not_wait_for_another_payload(scene, running):
    down(scene, "admit")
    running(scene.call)

    assert scene.call(question={"currency": "USD"}).value == scene.answer


def test_no_more_calls_are_made_than_the_budget_allows(scene):
    down(scene, "admit")
    for number in range(3):
        scene.call(question={"currency": f"C{number}"})

    with pytest.raises(StoreUnavailable, match="calls_spent"):
        scene.call(never, {"currency": "D"})
    scene.clock.advance(scene.cache.ttl)
    assert scene.call(question={"currency": "D"}).degraded


def test_answer_is_stored_when_the_store_is_back(scene, eventually):
    heal = down(scene, "admit")
    answer = scene.call()

    heal()

    assert stored(scene, eventually) == "ok"
    later = scene.call(never)
    assert (later.value, later.source, later.degraded) == (scene.answer, "cache", False)
    assert later.job == answer.job


def test_answer_is_stored_although_replies_are_lost_on_the_way(scene, eventually):
    heal = down(scene, "admit")
    scene.call()
    lost = [LosesReplies(scene.store, verb) for verb in ("start", "complete")]
    heal()

    assert stored(scene, eventually) == "ok"
    assert [each.verb for each in lost] == ["start", "complete"]


class LosesReplies:
    """Lets the first call of *verb* be executed, and its reply get lost."""

    def __init__(self, failing, verb):
        self.verb, real = verb, getattr(failing, verb)

        def call(*args, **options):
            delattr(failing, verb)
            real(*args, **options)
            raise StoreUnavailable(verb=verb, reason="ConnectionError")

        setattr(failing, verb, call)


def test_answer_that_another_worker_stored_is_not_replaced(scene, eventually):
    heal = down(scene, "admit")
    scene.call(lambda: "local")
    heal_complete = scene.store._store
    other = replace(scene.executor, store=heal_complete)
    scene.producer = replace(scene.producer, store=heal_complete)
    scene.ask()
    other.execute(scene.delivery(), lambda: "theirs")

    heal()

    assert stored(scene, eventually) == "fenced"
    assert scene.ask().result(0).value == "theirs"


def test_job_of_a_message_is_done_once_when_the_store_is_back(scene, eventually):
    asked = scene.ask()
    heal = down(scene, "start")

    executed = scene.runner.run(scene.delivery(), lambda: scene.answer)
    heal()

    assert isinstance(executed, Computed)
    assert stored(scene, eventually) == "ok"
    assert asked.result(0).value == scene.answer
    assert isinstance(scene.work(never), Reused)


def test_fallback_is_neither_kept_nor_stored(scene):
    down(scene, "admit")

    first = scene.call(lambda: Answer(value=None, source="default"))

    assert (first.source, first.degraded) == ("default", True)
    assert scene.call().source == "call"
    assert scene.spill.bytes > 0, "only the second one waits to be stored"


@pytest.mark.parametrize("error", [Permanent("http_404"), Configuration("http_401")])
def test_failure_without_the_store_is_raised_and_not_kept(scene, raising, error):
    down(scene, "admit")

    with pytest.raises(JobFailed, match=error.reason):
        scene.call(raising(error))

    assert scene.call().value == scene.answer


def test_cost_of_an_answer_without_the_store_is_emitted(scene):
    down(scene, "admit")
    scene.call(lambda: Answer(value=1, cost_usd=0.5, usage={"n": -1}))

    [unstored] = scene.heard.named("job.unstored")
    [unknown] = scene.heard.named("job.spend_unknown")
    assert (unstored.data["cost_usd"], unknown.data["field"]) == (0.5, "usage.n")


@pytest.mark.parametrize(
    ("error", "name"), [(Transient, "job.deferred"), (Permanent, "job.failed"), (Configuration, "job.failed")]
)
def test_cost_of_a_failure_without_the_store_is_emitted(scene, raising, error, name):
    down(scene, "admit")
    with pytest.raises((JobFailed, StoreUnavailable)):
        scene.call(raising(error("refused", cost_usd=0.5, usage={"n": 2})))

    [event] = scene.heard.named(name)
    data = event.data
    assert (data["reason"], data["cost_usd"], data["usage"], data["attempt"]) == ("refused", 0.5, {"n": 2}, 1)


def test_end_of_one_thread_ends_no_other_that_shares_its_call(scene, threads, running, eventually):
    down(scene, "admit")

    def run(body):
        with pytest.raises(SystemExit):
            scene.call(lambda: [body(), sys.exit(1)])

    first = running(run)
    [flight] = scene.local._flights.values()
    other = threads.submit(scene.call, never)
    eventually(lambda: flight._condition._waiters)
    first.finish()

    with pytest.raises(StoreUnavailable):
        other.result(10)


def test_call_that_may_succeed_later_is_left_for_later(scene, raising):
    scene.ask()
    down(scene, "start")

    with pytest.raises(StoreUnavailable, match="http_503"):
        scene.runner.run(scene.delivery(), raising(Transient("http_503")))


def test_answer_that_has_no_form_is_a_failure(scene):
    scene.ask()
    down(scene, "start")

    executed = scene.runner.run(scene.delivery(), object)

    assert isinstance(executed, Failed)
    assert executed.reason == "value_invalid@answer:object"


def test_unstored_answer_is_served_here_for_every_policy(scene):
    scene.use(scene.store, replace(scene.spec, on_store_down="defer"))
    scene.ask()
    scene.fail_on("complete")
    scene.runner.run(scene.delivery(), lambda: scene.answer)

    kept = scene.local.run(scene.delivery(), never, StoreUnavailable(verb="start", reason="x"))

    assert (kept.result.value, kept.result.degraded) == (scene.answer, True)


def test_answer_that_does_not_fit_here_is_served_and_not_kept(scene):
    scene.answered(body=lambda: "x" * 100)
    scene.use(scene.store, replace(scene.spec, max_value_bytes=10))

    served = scene.runner.run(scene.delivery(), never)

    assert (type(served), served.result.value) == (Reused, "x" * 100)
    down(scene, "admit")
    assert scene.call(lambda: "small").value == "small"


PAID = {"calls": 1, "micro_usd": 250_000, "tokens:input_tokens": 7}
COST = {**PAID, "call_without_store": 1}
MONEY = {*COST, "unpriced", "in_doubt"}


def priced(**more):
    return Answer(value="dear", cost_usd=0.25, usage={"input_tokens": 7}, **more)


def counted(scene, names=frozenset(MONEY)):
    totals = scene.store.tally.totals()
    return {counter.what: amount for counter, amount in totals.items() if counter.what in names}


def settled(scene):
    """Return what was counted once the spill is empty."""
    assert scene.spill.drain(10.0) == 0
    return counted(scene)


def test_call_without_the_store_is_booked_when_it_is_back(scene):
    heal = down(scene, "admit")
    scene.call(priced)
    assert counted(scene) == {}

    heal()

    assert settled(scene) == COST


def test_call_without_the_store_is_booked_once_although_replies_are_lost(scene):
    heal = down(scene, "admit")
    scene.call(priced)
    for verb in ("start", "complete"):
        LosesReplies(scene.store, verb)
    heal()

    assert settled(scene) == COST


def test_answer_that_is_fenced_is_booked_and_leaves_no_doubt(scene):
    heal = down(scene, "admit")
    scene.call(priced)
    answers = scene.store._store
    other = replace(scene.executor, store=answers)
    scene.producer = replace(scene.producer, store=answers)
    scene.ask()
    other.execute(scene.delivery(), priced)

    heal()

    assert settled(scene) == {**COST, **{name: 2 * amount for name, amount in PAID.items()}}


@pytest.mark.parametrize(
    ("failure", "money"),
    [
        (Permanent("refused", usage={"input_tokens": 7}, cost_usd=0.25), COST),
        (Transient("malformed_answer", usage={"input_tokens": 7}, cost_usd=0.25, maybe_billed=True), COST),
        (Transient("timeout", maybe_billed=True), {"in_doubt": 1, "call_without_store": 1}),
        (Transient("http_503"), {}),
    ],
    ids=["refused", "malformed", "no reply", "not paid"],
)
def test_failed_call_without_the_store_is_booked_when_it_is_back(scene, failure, money):
    heal = down(scene, "admit")

    def fail():
        raise failure

    with pytest.raises((StoreUnavailable, JobFailed)):
        scene.call(fail)
    heal()

    assert settled(scene) == money
    assert "job.stored_late" not in scene.heard.names, "there is no answer"


def test_fallback_without_the_store_is_booked_when_it_is_back(scene):
    heal = down(scene, "admit")
    scene.call(lambda: priced(source="default"))
    heal()

    assert settled(scene) == COST


def test_hits_without_the_store_are_counted_when_it_is_back(scene):
    scene.call(priced)
    heal = down(scene, "admit")
    tally = type(scene.store)(scene.store.tally, "book_late", 2)
    scene.store.tally = tally
    for _ in range(3):
        scene.call(never)
    heal()

    assert settled(scene) == PAID
    hits = {"hit": 3, "hit_in_memory": 3, "avoided_micro_usd": 750_000}
    assert counted(scene, hits.keys()) == hits


@pytest.mark.parametrize(("mode", "fresh"), [("remove", None), ("expire", False)])
def test_answer_made_without_the_store_before_a_mark_is_stored_as_an_old_one(scene, eventually, mode, fresh):
    heal = down(scene, "admit", "complete")
    key = scene.call().key
    scene.clock.advance(1)
    scene.store.controls.mark(Mark("task", scene.spec.name, mode=mode))
    scene.clock.advance(1)
    heal()

    stored(scene, eventually)
    value = scene.read(key).value
    assert fresh is (None if value is None else value.fresh)
