"""An estimate: low, expected and high, from the history of a task and model, or from a stated guess."""

from __future__ import annotations

import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.tally import Counter
from producer.bill.history import History, history_of
from producer.bill.meter import Meter
from settings.environment import Settings
from settings.prices import ModelPrice
from tasks.catalog import MEETINGS_PART, catalog
from tasks.meetings.prompts import PROMPTS

pytestmark = pytest.mark.long

OWN, MODEL = "http://127.0.0.1:1/v1", "gpt-6-luna"
TASK = "meetings.full"
#: Bytes of the instructions and the schema, about.
FIXED = 4000
PRICES = {MODEL: ModelPrice(input=1, output=4)}
ROW = {"meeting_id": "m", "transcript": "Ana: We ship on Friday.\n" * 400}


def settings(**more):
    return Settings(**{"_env_file": None, "openai_base_url": OWN, "llm_prices": PRICES, **more})


def totals(task=TASK, tenant="", model=MODEL, **counts):
    named = {name.replace("tokens_", "tokens:"): amount for name, amount in counts.items()}
    return {Counter(task, tenant, model, what): amount for what, amount in named.items()}


def spent(calls, read, written, **more):
    return totals(calls=calls, done=calls, tokens_input_tokens=read, tokens_output_tokens=written, **more)


def estimate(rows=(ROW,), history=None, task=TASK, **more):
    meter = Meter(task, settings(**more), history or {})
    for row in rows:
        meter.add(row)
    return meter.estimate()


def test_history_is_of_one_task_and_model_and_of_all_tenants():
    counted = {
        **totals(calls=3, micro_usd=30, unpriced=1, done=2, failed=1, hit=70, avoided_micro_usd=10**9),
        **totals(tenant="shop", calls=4, tokens_input_tokens=9, tokens_output_tokens=5, quarantined=1),
        **totals(task="meetings.extract", calls=1000),
        **totals(model="another", calls=1000),
    }

    assert history_of(counted, TASK, MODEL) == History(7, 4, 9, 5, 30, 1)


def test_guess_says_that_it_is_one():
    found = estimate()

    assert "a guess: 100 to 8,000 output tokens a call" in found.basis
    assert found.output_tokens == (100, 1000, 8000)
    assert found.cost_usd.low < found.cost_usd.expected < found.cost_usd.high


def test_history_says_from_how_many_calls():
    found = estimate(history=spent(1204, 1204 * 4000, 1204 * 500))

    assert found.basis == "from 1,204 calls of this task and model"


def test_instructions_and_schema_are_counted_with_the_text():
    prompt = PROMPTS["full"]
    fixed = len(prompt.instructions) + len(orjson.dumps(prompt.schema.model_json_schema()))

    found = estimate([{**ROW, "transcript": "Ana: Yes."}])

    assert fixed / 4 <= found.input_tokens.expected <= fixed / 4 * 1.2


def test_payload_may_be_the_json_of_a_job():
    assert estimate([orjson.dumps(ROW)]) == estimate([ROW])


@pytest.mark.parametrize(
    "more",
    [
        {"llm_prices": {}},
        {"openai_base_url": None, "llm_prices": {}, "openai_model": "gpt-6.2-unlisted"},
    ],
)
def test_unknown_price_is_unknown_and_never_zero(more):
    found = estimate(**more)

    assert found.cost_usd is None
    assert found.input_tokens.expected > 0


def test_list_price_is_used_for_openai_itself():
    found = estimate(openai_base_url=None, llm_prices={})

    assert found.cost_usd.expected == pytest.approx(
        (found.input_tokens.expected * 0.1 + 1000 * 0.5) / 1_000_000, rel=0.01
    )


def test_no_output_is_expected_beyond_the_operators_limit():
    assert estimate(llm_max_output_tokens=600).output_tokens == (100, 600, 600)


def test_rows_that_are_answered_cost_nothing():
    found = estimate([])

    assert (found.rows, found.calls, found.cost_usd) == (0, (0, 0, 0), (0.0, 0.0, 0.0))


@given(
    calls=st.integers(100, 10**7),
    read=st.integers(1, 300_000),
    written=st.integers(1, 100_000),
    sizes=st.lists(st.integers(1, 30_000), min_size=1, max_size=8),
    share=st.floats(0.01, 10),
    again=st.floats(0.5, 2.5),
)
def test_high_is_at_most_three_times_low_from_100_calls_on(calls, read, written, sizes, share, again):
    paid = int((read + 4 * written) * calls * share)
    history = spent(calls, read * calls, written * calls, micro_usd=paid)
    history[Counter(TASK, "", MODEL, "done")] = int(calls / again)

    found = estimate([{**ROW, "transcript": "a" * size} for size in sizes], history)

    for low, expected, high in (found.input_tokens, found.output_tokens, found.cost_usd):
        assert low <= expected <= high
    assert found.cost_usd.high <= 3 * found.cost_usd.low


def test_few_calls_of_history_give_a_wider_range_than_many():
    few = estimate(history=spent(10, 10 * 4000, 10 * 500)).output_tokens
    many = estimate(history=spent(100, 100 * 4000, 100 * 500)).output_tokens

    assert few.low < many.low < many.high < few.high


@pytest.mark.parametrize(("spread", "longer"), [(0.0, 2.0), (0.3, 0.5), (0.5, 1.0), (0.5, 2.0), (1.0, 1.0)])
@pytest.mark.parametrize("bytes_of_a_token", [3, 4, 5])
def test_cost_is_within_low_and_high_of_20_runs(spread, longer, bytes_of_a_token):
    """100 calls of history, and 100 rows that are so many times as long, with answers of the same lengths."""

    def call(rng, text):
        read = (len(text) + FIXED) // bytes_of_a_token
        return read, 300 + int(1000 * rng.lognormvariate(0, spread))

    for seed in range(20):
        rng = random.Random(seed)
        past = [call(rng, "a" * rng.randrange(2_000, 12_000)) for _ in range(100)]
        rows = ["a" * int(longer * rng.randrange(2_000, 12_000)) for _ in range(100)]
        paid = [read + 4 * written for read, written in (call(rng, row) for row in rows)]

        history = spent(100, sum(read for read, _ in past), sum(written for _, written in past))
        cost = estimate([{**ROW, "transcript": row} for row in rows], history).cost_usd

        assert cost.low <= sum(paid) / 1_000_000 <= cost.high, seed


def test_calls_that_were_paid_a_second_time_are_expected_again():
    history = spent(200, 200 * 4000, 200 * 500)
    history[Counter(TASK, "", MODEL, "done")] = 100

    found = estimate([ROW] * 10, history)

    assert (found.calls.low, found.calls.expected) == (10, 20)
    once = estimate([ROW] * 10, spent(200, 200 * 4000, 200 * 500))
    assert found.output_tokens.expected == pytest.approx(2 * once.output_tokens.expected, abs=1)


def test_cheaper_tier_of_the_history_is_expected_again():
    plain = spent(200, 200 * 4000, 200 * 500, micro_usd=200 * 6000)
    half = spent(200, 200 * 4000, 200 * 500, micro_usd=200 * 3000)

    assert estimate(history=half).cost_usd.expected == pytest.approx(
        estimate(history=plain).cost_usd.expected / 2
    )


def test_history_with_unpriced_calls_changes_no_price():
    history = spent(200, 200 * 4000, 200 * 500, micro_usd=1, unpriced=3)

    assert estimate(history=history).cost_usd == estimate(history=spent(200, 200 * 4000, 200 * 500)).cost_usd


def test_long_transcript_is_one_call_for_each_part_and_one_for_all():
    whole = estimate(llm_max_input_chars=400_000)

    found = estimate(llm_max_input_chars=2_000)

    parts = -(-len(ROW["transcript"]) // 2_000)
    assert whole.calls.low == 1
    assert found.calls.low == parts + 1
    assert found.input_tokens.expected > whole.input_tokens.expected + parts * 500


def test_parts_are_estimated_from_the_history_of_parts():
    history = totals(task=MEETINGS_PART, calls=300, tokens_input_tokens=300_000, tokens_output_tokens=9000)

    assert estimate(history=history).basis == "from 300 calls of this task and model"


@pytest.mark.parametrize(
    ("task", "row", "low"),
    [
        ("customers.lookup", {"cliente_id": "7"}, 3),
        ("orders.enrich", {"order_id": "1", "cliente_id": "7"}, 0),
    ],
)
def test_task_without_a_model_has_calls_and_an_unknown_price(task, row, low):
    found = estimate([row] * 3, task=task)

    assert (found.calls.low, found.calls.expected) == (low, 3)
    assert (found.input_tokens, found.output_tokens, found.cost_usd) == (None, None, None)


@pytest.mark.parametrize("task", catalog(settings()))
def test_every_task_can_be_metered(task):
    row = {**ROW, "order_id": "1", "cliente_id": "7", "operation": "summary", "text": "Ana: Yes."}

    meter = Meter(task, settings())
    meter.add(row)

    assert meter.estimate().rows == 1
    assert meter.worst_case(row).calls > 0
