import pytest

from askonce.answer import Answer
from askonce.errors import Permanent, Transient
from askonce.job import Job
from askonce.spend import Spend
from askonce.tally import book_of
from tests.counters import is_of_runs

JOB = Job("k", "j", "f", "meetings.extract", b"{}", tenant="acme", model="gpt")


@pytest.mark.parametrize(
    ("spend", "amounts"),
    [
        (Spend(), {"calls": 1, "unpriced": 1}),
        (Spend(cost_usd=0.0), {"calls": 1}),
        (Spend(cost_usd=0.25, calls=3), {"calls": 3, "micro_usd": 250_000}),
        (Spend(calls=2, in_doubt=1), {"calls": 2, "unpriced": 2, "in_doubt": 1}),
        (Spend(calls=0, cost_usd=0.0), {}),
        (Spend(calls=0, in_doubt=1), {"in_doubt": 1}),
        (
            Spend(cost_usd=0.0, usage={"input_tokens": 7, "cached_tokens": 5, "none": 0}),
            {"calls": 1, "tokens:input_tokens": 7, "tokens:cached_tokens": 5},
        ),
    ],
    ids=["unknown", "free", "parts", "no reply at last", "no call", "no reply", "tokens"],
)
def test_book_counts_what_is_known_of_a_run(spend, amounts):
    book = book_of(JOB, spend)

    assert (book.task, book.tenant, book.model) == ("meetings.extract", "acme", "gpt")
    assert dict(book.amounts) == amounts


def test_name_of_a_count_is_one_word_of_a_counter():
    book = book_of(JOB, Spend(cost_usd=0.0, usage={"a b\nc": 1, "n" * 100: 2}))

    assert dict(book.amounts) == {"calls": 1, "tokens:a_b_c": 1, "tokens:" + "n" * 40: 2}


def raising(error):
    def body():
        raise error

    return body


@pytest.mark.parametrize(
    ("body", "money"),
    [
        (lambda: "of unknown price", {"calls": 1, "unpriced": 1}),
        (lambda: Answer(value="v", cost_usd=0.5), {"calls": 1, "micro_usd": 500_000}),
        (
            lambda: Answer(value="v", cost_usd=0.5, paid=Spend(calls=2, cost_usd=0.25)),
            {"calls": 2, "micro_usd": 250_000},
        ),
        (lambda: Answer(value="v", source="default", paid=Spend(calls=0, cost_usd=0.0)), {}),
        (lambda: {1, 2}, {"calls": 1, "unpriced": 1}),
        (lambda: Answer(value={1, 2}, cost_usd=0.5), {"calls": 1, "micro_usd": 500_000}),
        (raising(Permanent("refused", usage={}, cost_usd=0.5)), {"calls": 1, "micro_usd": 500_000}),
        (raising(Transient("timeout", maybe_billed=True)), {"in_doubt": 1}),
        (raising(Transient("http_429")), {}),
        (raising(ValueError("a mistake")), {"in_doubt": 1}),
    ],
    ids=[
        "bare value",
        "answer",
        "paid less",
        "fallback",
        "no JSON, unknown",
        "no JSON",
        "refused after it was paid",
        "no reply",
        "refused",
        "mistake in the body",
    ],
)
def test_run_is_counted_by_how_it_ended(scene, body, money):
    scene.ask()

    scene.work(body)

    ends = {"done", "failed", "fallback", "quarantined"}
    totals = {counter.what: n for counter, n in scene.store.tally.totals().items()}
    counted = {what: n for what, n in totals.items() if what not in ends and not is_of_runs(what)}
    assert counted == {"admitted": 1, **money}


def test_hit_avoids_what_the_answer_cost_to_make(scene):
    scene.ask()
    scene.work(lambda: Answer(value="v", cost_usd=0.5, paid=Spend(calls=1, cost_usd=0.125)))

    scene.ask()

    counted = {counter.what: amount for counter, amount in scene.store.tally.totals().items()}
    assert (counted["micro_usd"], counted["avoided_micro_usd"]) == (125_000, 500_000)
