import ast

import pytest
from celery.exceptions import Retry

from askonce.adapters.celery.states import Parked
from askonce.adapters.celery.verdict import verdict
from askonce.answer import Result
from askonce.decision import Refuse, Why
from askonce.execution import Computed, Deferred, Reused, Skipped
from askonce.job import Job
from askonce.spend import Spend
from askonce.store import Write
from tasks.reasons import cure_of

KEY = "0123456789abcdef" * 4
TOKENS = {"input_tokens": 7, "cached_tokens": 5, "output_tokens": 3}


def made(*, source="call", **spend):
    """An answer of job-1."""
    return Result(
        key=KEY,
        job="job-1",
        value="hunter2-of-ana-souza",
        source=source,
        age=1.0,
        attempts=3,
        fence=1,
        spend=Spend(usage=TOKENS, **spend),
        stored_at=0.0,
    )


def computed(*, stored=Write.OK, **answer):
    """What Celery gets of a message that ended with a call."""
    return verdict(Computed(key=KEY, job="job-1", result=made(**answer), stored=stored))


def reused(job, **answer):
    """What Celery gets of a message of *job* that needed no call."""
    named = Job(key=KEY, id=job, fingerprint="fp", task="orders.enrich", payload=b"{}")
    return verdict(Reused.of(named, made(source="cache", **answer)))


def shown(**how):
    """What monitors show of a call."""
    return repr(computed(**how))


def shown_again(job, **answer):
    """What monitors show of one more message."""
    return repr(reused(job, **answer))


def test_result_begins_with_outcome_source_cost_tokens_and_attempts():
    text = shown(cost_usd=0.5)

    assert text == (
        "{'outcome': 'done', 'source': 'call', 'cost_usd': 0.5, 'tokens': 10, 'attempts': 3,"
        f" 'key': '{KEY[:16]}'}}"
    )


@pytest.mark.parametrize(("cost", "digits"), [(2.13e-05, "0.0000213"), (0.0, "0"), (None, "None")])
def test_cost_is_in_plain_digits_and_unknown_is_not_zero(cost, digits):
    assert f"'cost_usd': {digits}, " in shown(cost_usd=cost)


def test_cost_is_what_the_job_itself_caused():
    own = Spend(cost_usd=0.1, usage={"input_tokens": 1, "output_tokens": 1})

    text = shown(cost_usd=0.5, calls=3, caused=own)

    assert "'cost_usd': 0.1, 'tokens': 2, " in text


@pytest.mark.parametrize(
    ("stored", "outcome"),
    [
        (Write.OK, "done"),
        (Write.UNAVAILABLE, "unstored"),
        (Write.FENCED, "fenced"),
        (Write.ABSENT, "fenced"),
    ],
)
def test_outcome_of_a_call_is_what_became_of_its_answer(stored, outcome):
    assert shown(stored=stored).startswith(f"{{'outcome': '{outcome}', 'source': 'call', ")


def test_answer_of_another_job_cost_this_one_nothing():
    text = shown_again("job-2", cost_usd=0.5)

    assert text.startswith(
        "{'outcome': 'reused', 'source': 'cache', 'cost_usd': 0, 'tokens': 0, 'attempts': 3,"
    )


def test_one_more_message_of_a_job_shows_what_the_job_cost():
    text = shown_again("job-1", cost_usd=0.5)

    assert text.startswith("{'outcome': 'reused', 'source': 'cache', 'cost_usd': 0.5, ")


@pytest.mark.parametrize(("parked", "state"), [(True, Parked), (False, Retry)])
def test_job_that_is_put_back_says_why_for_how_long_and_what_a_person_can_do(parked, state):
    deferred = Deferred(key=KEY, job="job-1", reason="no_credit", after=1.5, parked=parked)

    with pytest.raises(Retry) as plain:
        verdict(deferred)
    with pytest.raises(Retry) as cured:
        verdict(deferred, cure_of)

    assert {state} == {type(plain.value), type(cured.value)}
    assert str(plain.value) == "no_credit, again in 1.5 s"
    assert str(cured.value).startswith("no_credit, again in 1.5 s. Add credit ")


def test_message_without_an_answer_shows_its_outcome_and_key():
    superseded = Skipped(key=KEY, job="job-1", because=Refuse(Why.SUPERSEDED))

    assert repr(verdict(superseded)) == f"{{'outcome': 'superseded', 'key': '{KEY[:16]}'}}"


def test_result_is_a_flat_literal():
    assert all(type(each) in (str, int, float) for each in ast.literal_eval(shown(cost_usd=1.5)).values())


def test_call_whose_answer_is_in_the_record_is_a_success_and_nothing_else_is():
    others = [
        reused("job-1"),
        computed(source="default"),
        *(computed(stored=stored) for stored in (Write.FENCED, Write.ABSENT, Write.UNAVAILABLE)),
        verdict(Skipped(key=KEY, job="job-1", because=Refuse(Why.SUPERSEDED))),
    ]

    assert computed().is_success
    assert not any(other.is_success for other in others)
