"""What a job cost is what all its attempts cost: in its answer, and in its failure."""

import json
from dataclasses import replace

import pytest

from askonce import bill
from askonce.answer import Answer
from askonce.attempt import current_attempt
from askonce.cli.explained import explain_row
from askonce.cli.letters import DeadLetters
from askonce.cli.result import why_none
from askonce.errors import JobFailed, Permanent, Postponed, Transient
from askonce.execution import Failed
from askonce.job import new_owner
from askonce.outcomes import Negative
from askonce.rows import Row
from askonce.spec import RetryPolicy
from askonce.spend import NOTHING, Spend
from askonce.store import Lease
from producer.client import Client
from tests.unit import starts

CENTS, USAGE = 0.000213, {"input_tokens": 7, "output_tokens": 2}
TWICE = {"input_tokens": 14, "output_tokens": 4}
GOOD = Answer(value=1, cost_usd=CENTS, usage=USAGE)
#: An answer that could not be used, and was paid.
MALFORMED = Transient("malformed_answer", usage=USAGE, cost_usd=CENTS, maybe_billed=True)
#: How an attempt may end of which nobody knows what it cost.
UNKNOWN = {
    "in doubt": Transient("server_error", maybe_billed=True),
    "no price": Transient("malformed_answer", usage=USAGE, cost_usd=None),
    "one of two": Transient("timeout", usage=USAGE, cost_usd=CENTS, calls=1, in_doubt=1),
    "one of two parts": Transient("timeout", usage=USAGE, cost_usd=CENTS, in_doubt=1, paid=NOTHING),
    "mistake": ValueError("x"),
}


@pytest.fixture
def attempt(scene, raising):
    """Make one attempt at the scene's job, which ends with an answer or an error."""

    def make(end):
        scene.clock.advance(300)
        return scene.work(raising(end) if isinstance(end, Exception) else lambda: end)

    return make


@pytest.fixture
def client(scene):
    return Client(specs={scene.spec.name: scene.spec}, store=scene.store, producer=scene.producer)


def lose(scene):
    """Begin an attempt whose worker is lost."""
    job = scene.sender.sent[-1].job
    scene.clock.advance(300)
    scene.store.start(job, Lease(job.key, new_owner("lost"), scene.spec.lease))


def counted(scene, *words):
    totals = {counter.what: amount for counter, amount in scene.store.tally.totals().items()}
    return [totals.get(word, 0) for word in words]


def test_answer_costs_what_all_attempts_cost(scene, attempt):
    asked = scene.ask()
    attempt(MALFORMED)

    done = attempt(GOOD)

    assert (done.result.cost_usd, done.result.usage, done.result.attempts) == (2 * CENTS, TWICE, 2)
    assert asked.result(0).spend == scene.ask().answer.spend == done.result.spend
    assert counted(scene, "calls", "micro_usd", "tokens:input_tokens") == [2, 426, 14], "each run once"


def test_hit_avoids_what_all_attempts_cost(scene, attempt):
    scene.ask()
    attempt(MALFORMED)
    attempt(GOOD)

    scene.ask()

    assert counted(scene, "avoided_micro_usd", "avoided_unknown") == [426, 0]


def test_answer_after_a_refused_attempt_costs_its_own_call(scene, attempt):
    scene.ask()
    attempt(Transient("connect_failed"))

    assert attempt(GOOD).result.spend == Spend(cost_usd=CENTS, usage=USAGE)


def test_failure_whose_calls_were_refused_costs_nothing(scene, attempt):
    asked = scene.ask()
    attempt(Permanent("refused"))

    with pytest.raises(JobFailed) as caught:
        asked.result(0)
    assert (caught.value.cost_usd, caught.value.usage) == (0.0, {})


@pytest.mark.parametrize("name", UNKNOWN)
def test_answer_after_an_attempt_of_unknown_cost_has_none(scene, attempt, name):
    scene.ask()
    attempt(UNKNOWN[name])

    assert attempt(GOOD).result.cost_usd is None


@pytest.mark.parametrize("name", UNKNOWN)
def test_attempt_of_unknown_cost_stays_unknown(scene, attempt, name):
    asked = scene.ask()
    for end in (UNKNOWN[name], MALFORMED, Permanent("malformed_answer", usage=USAGE, cost_usd=CENTS)):
        attempt(end)

    with pytest.raises(JobFailed) as caught:
        asked.result(0)
    assert (caught.value.attempts, caught.value.cost_usd) == (3, None)


def test_cost_is_unknown_after_a_worker_was_lost(scene, attempt):
    scene.ask()
    attempt(MALFORMED)
    lose(scene)

    done = attempt(GOOD)

    assert (done.result.attempts, done.result.cost_usd, done.result.usage) == (3, None, {})


def test_attempt_that_was_postponed_costs_nothing(scene, attempt):
    scene.ask()
    attempt(MALFORMED)
    attempt(Postponed("rate_limited", retry_after=1.0))

    done = attempt(GOOD)

    assert (done.result.attempts, done.result.cost_usd) == (2, 2 * CENTS)


@pytest.mark.parametrize(
    "last",
    [MALFORMED, Permanent("malformed_answer", usage=USAGE, cost_usd=CENTS)],
    ids=["quarantined", "permanent"],
)
def test_failure_costs_what_all_attempts_cost(scene, attempt, last):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=2, base=5.0)))
    asked = scene.ask()
    attempt(MALFORMED)

    ended = attempt(last)

    assert isinstance(ended, Failed)
    spent = Spend(usage=TWICE, cost_usd=2 * CENTS, calls=2)
    assert ended.spend == scene.read().failure.spend == spent
    with pytest.raises(JobFailed) as caught:
        asked.result(0)
    again = scene.ask()
    assert isinstance(again, Negative)
    with pytest.raises(JobFailed) as kept:
        again.result(0)
    for error in (caught.value, kept.value, ended.to_error()):
        assert (error.attempts, error.calls, error.cost_usd, error.usage) == (2, 2, 2 * CENTS, TWICE)
    assert counted(scene, "calls", "micro_usd") == [2, 426]


def test_job_that_is_asked_again_after_its_end_begins_with_nothing(scene, attempt):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=2, base=5.0)))
    scene.ask()
    attempt(MALFORMED)
    attempt(MALFORMED)

    scene.ask(force=True)

    assert attempt(GOOD).result.cost_usd == CENTS
    scene.ask(force=True)
    attempt(MALFORMED)
    assert attempt(GOOD).result.cost_usd == 2 * CENTS


def test_answer_that_cannot_be_stored_costs_what_all_attempts_cost(scene, attempt):
    scene.ask()
    attempt(MALFORMED)

    ended = attempt(Answer(value={1, 2}, cost_usd=CENTS, usage=USAGE))

    assert (ended.kind, ended.spend.cost_usd, ended.spend.usage) == ("permanent", 2 * CENTS, TWICE)


def test_answer_that_names_what_it_paid_has_its_own_sum(scene, attempt):
    scene.ask()
    attempt(MALFORMED)

    done = attempt(Answer(value=1, cost_usd=5.0, usage={"n": 1}, paid=NOTHING))

    assert (done.result.cost_usd, done.result.usage) == (5.0, {"n": 1})
    assert counted(scene, "calls", "micro_usd") == [1, 213]


def test_failure_that_names_what_it_paid_has_its_own_sum(scene, attempt):
    scene.ask()
    attempt(MALFORMED)

    ended = attempt(Permanent("refused", usage={"n": 1}, cost_usd=5.0, paid=NOTHING))

    assert (ended.spend.cost_usd, ended.spend.usage) == (5.0, {"n": 1})
    assert counted(scene, "calls", "micro_usd") == [1, 213]


def test_fallback_costs_what_all_attempts_cost(scene, attempt):
    asked = scene.ask()
    attempt(MALFORMED)
    attempt(replace(GOOD, source="default"))

    assert asked.result(0).cost_usd == 2 * CENTS


def test_failure_that_waited_for_the_store_has_its_cost(scene, attempt):
    scene.ask()
    scene.fail_on("fail", times=1)
    attempt(Permanent("malformed_answer", usage=USAGE, cost_usd=CENTS))

    assert scene.spill.drain(10) == 0
    assert scene.read().failure.spend.cost_usd == CENTS


@pytest.mark.parametrize(("paid", "attempts", "cost"), [(None, 2, 2 * CENTS), (NOTHING, 1, CENTS)])
def test_answer_made_without_the_store_has_the_cost_of_earlier_attempts(scene, attempt, paid, attempts, cost):
    scene.use(scene.store, replace(scene.spec, on_store_down="local"))
    scene.ask()
    attempt(MALFORMED)
    scene.clock.advance(300)
    scene.fail_on("start", times=1)

    done = scene.runner.run(scene.delivery(), lambda: replace(GOOD, paid=paid))

    assert done.result.degraded
    assert scene.spill.drain(10) == 0
    meta = scene.read().value.meta
    assert (meta.attempts, meta.spend.cost_usd) == (attempts, cost)


def test_body_knows_what_earlier_attempts_cost(scene, attempt):
    scene.ask()
    attempt(MALFORMED)
    scene.clock.advance(300)
    seen = []

    scene.work(lambda: seen.append(current_attempt().spent))

    assert seen == [Spend(usage=USAGE, cost_usd=CENTS)]


def test_row_and_commands_tell_what_a_failed_job_cost(scene, client, attempt):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=2, base=5.0)))
    scene.ask()
    attempt(MALFORMED)
    attempt(MALFORMED)
    row = Row(number=1, payload=scene.question)

    [report] = starts.Start(scene)([row], waits=True)

    printed = json.loads(report.to_json())
    assert (printed["status"], printed["attempts"]) == ("negative", 2)
    # Others paid for that.
    assert (printed["cost_usd"], printed["usage"], printed["avoided_usd"]) == (0, {}, 0.000426)
    [letter] = DeadLetters(client).matching(task=None, reason=None)
    shown = [letter.shown(), explain_row(client, scene.spec.name, row, "")["failure"]]
    assert [(each["cost_usd"], each["usage"]) for each in shown] == [(0.000426, TWICE)] * 2
    assert "malformed_answer: cost_usd=0.000426 attempts=2" in why_none(client, scene.read(), report.key)


def test_result_says_that_a_cost_is_unknown(scene, client, attempt):
    scene.ask()
    attempt(Permanent("malformed_answer", usage=USAGE, cost_usd=None))

    assert "cost_usd=unknown attempts=1" in why_none(client, scene.read(), "key")


KEPT = bill.encode("job-1", 2, Spend(usage=USAGE, cost_usd=CENTS, calls=2))


def test_kept_cost_is_read_as_it_was():
    assert bill.decode(KEPT, "job-1", 2) == Spend(usage=USAGE, cost_usd=CENTS, calls=2)


@pytest.mark.parametrize(
    ("kept", "job", "attempts"),
    [
        (KEPT, "job-1", 3),
        (KEPT, "job-1", 1),
        (KEPT, "job-2", 2),
        (b"", "job-1", 1),
        (KEPT[:-1], "job-1", 2),
        (b"[]", "job-1", 2),
        (b'{"job":"job-1","attempts":2}', "job-1", 2),
        (b'{"job":"job-1","attempts":2,"calls":-1,"cost_usd":"x","usage":3}', "job-1", 2),
    ],
    ids=["more", "fewer", "other job", "older version", "damaged", "no object", "no cost", "other types"],
)
def test_kept_cost_that_does_not_cover_all_attempts_is_unknown(kept, job, attempts):
    assert bill.decode(kept, job, attempts) == Spend()


@pytest.mark.parametrize("kept", [b"", KEPT])
def test_job_without_an_attempt_costs_nothing(kept):
    assert bill.decode(kept, "job-1", 0) == NOTHING
