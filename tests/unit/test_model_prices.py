"""What the tokens of a reply cost: by the operator's prices, by OpenAI's list, or unknown."""

from __future__ import annotations

import json
from decimal import localcontext

import pytest

from askonce.errors import CallFailed
from settings.environment import Settings
from settings.prices import ModelPrice
from tasks.prices import Prices
from tasks.providers.openai.reply import read

OPENAI, OWN = "https://api.openai.com/v1", "http://llm.internal:8000/v1"
LISTED = "gpt-6-luna"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
ODD = [-1, 1.5, "12", 2**53, True, [], 10**400]


def cost(usage=USAGE, *, url=OWN, model=LISTED, own=None, asked=LISTED, **more):
    settings = Settings(_env_file=None, openai_base_url=url, openai_model=asked, llm_prices=own or {})
    choices = [{"finish_reason": "stop", "message": {"content": "{}"}}]
    content = json.dumps({"model": model, "usage": usage, "choices": choices, **more}).encode()
    found = read(content, "chat", Prices(settings))
    assert (found.text, found.failure) == ("{}", None)
    return found.cost_usd


@pytest.mark.parametrize(
    ("url", "is_known"), [(None, True), (OPENAI, True), ("https://eu.api.openai.com/v1", True)]
)
def test_openai_itself_has_list_prices(url, is_known):
    assert (cost(url=url) is not None) == is_known


@pytest.mark.parametrize("url", [OWN, "http://127.0.0.1:8081/v1", "https://api.openai.com.example.org/v1"])
def test_own_server_has_no_list_price_whatever_its_models_name(url):
    assert cost(url=url) is None


@pytest.mark.parametrize("url", [OPENAI, OWN])
def test_own_price_wins_everywhere(url):
    own = {LISTED: ModelPrice(input=2, output=30)}

    assert cost(url=url, own=own, service_tier="flex") == 0.005


@pytest.mark.parametrize(
    ("tier", "dollars"),
    [(None, 0.005), ("default", 0.005), ("flex", 0.0025), ("priority", 0.01), ("scale", None), (7, None)],
)
def test_own_price_of_a_tier_is_its_share_and_of_another_unknown(tier, dollars):
    own = {LISTED: ModelPrice(input=2, output=30, tiers={"flex": 0.5, "priority": 2})}

    assert cost(own=own, service_tier=tier) == dollars


@pytest.mark.parametrize(
    ("tier", "dollars"),
    [("default", 0.00015), ("flex", 0.000075), ("priority", 0.0003), ("scale", None), ("", None)],
)
def test_list_price_of_a_tier_that_it_does_not_have_is_unknown(tier, dollars):
    assert cost(url=OPENAI, service_tier=tier) == dollars


@pytest.mark.parametrize("read", [1, 30, 1000, 100_000, 272_000, 300_001])
@pytest.mark.parametrize("tier", [None, "flex", "priority"])
@pytest.mark.parametrize("kind", ["cached_tokens", "cache_write_tokens"])
def test_no_tier_and_no_kind_of_input_costs_more_than_the_most(read, tier, kind):
    prices = Prices(Settings(_env_file=None, openai_model=LISTED))
    usage = {"input_tokens": read, "output_tokens": 77, kind: read}

    most = prices.most(read, 77)

    assert prices.of(usage, model=f"{LISTED}-2026-09-22", tier=tier) * 1_000_000 <= most
    assert most <= 6 * 1_000_000 * prices.of({**usage, kind: 0}, model=LISTED, tier=None) + 1


def test_most_by_own_prices_is_exact_and_rounded_up():
    own = {
        LISTED: ModelPrice(input=0.1, output=2, cached=0.3, tiers={"flex": 0.5, "priority": 1.5}),
        "another": ModelPrice(input=9, output=9),
    }
    prices = Prices(Settings(_env_file=None, openai_base_url=OWN, openai_model=LISTED, llm_prices=own))

    assert prices.most(1000, 10) == 480
    assert prices.most(1001, 10) == 481
    assert prices.context_window is None


def test_most_counts_the_longer_name_under_which_the_service_answers():
    own = {"m": ModelPrice(input=1, output=1), "m-large": ModelPrice(input=5, output=1)}
    prices = Prices(Settings(_env_file=None, openai_base_url=OWN, openai_model="m", llm_prices=own))

    assert prices.most(10, 0) == 50


def test_most_of_a_listed_model_counts_the_longer_name_with_a_price_of_its_own():
    own = {f"{LISTED}-2026-11-01": ModelPrice(input=7, output=1)}
    prices = Prices(Settings(_env_file=None, openai_model=LISTED, llm_prices=own))

    assert prices.most(1000, 0) == 7000


@pytest.mark.parametrize(("url", "model"), [(OPENAI, "unknown"), (OWN, LISTED)])
def test_most_of_a_model_without_a_price_is_unknown(url, model):
    prices = Prices(Settings(_env_file=None, openai_base_url=url, openai_model=model))

    assert (prices.most(1, 1), prices.context_window) == (None, None)


def test_own_price_is_found_by_the_model_that_was_asked_too():
    own = {LISTED: ModelPrice(input=2, output=30)}

    assert cost(model=f"{LISTED}-2026-11-01", own=own) == 0.005
    assert cost(model=None, own=own) == 0.005


def test_price_of_the_model_that_answered_comes_first():
    own = {LISTED: ModelPrice(input=2, output=30), "small": ModelPrice(input=0, output=1)}

    assert cost(model="small", own=own) == 0.0001


def test_own_price_of_another_model_is_none():
    assert cost(own={"another": ModelPrice(input=2, output=30)}) is None


@pytest.mark.parametrize(("cached", "dollars"), [(None, 0.0002), (0.05, 0.00016)])
def test_cached_input_has_a_price_of_its_own_where_it_is_set(cached, dollars):
    own = {LISTED: ModelPrice(input=0.1, output=1, cached=cached)}
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 800}}

    assert cost(usage, own=own) == dollars


def test_price_is_exact_whatever_the_decimal_context():
    with localcontext(prec=1):
        assert cost(own={LISTED: ModelPrice(input=0.123, output=0.456)}) == 0.0001686


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize(
    "place", [("prompt_tokens",), ("completion_tokens",), ("prompt_tokens_details", "cached_tokens")]
)
@pytest.mark.parametrize("url", [OPENAI, OWN])
def test_odd_count_loses_no_answer_and_makes_the_price_unknown(url, place, odd):
    usage = json.loads(json.dumps(USAGE))
    *outer, name = place
    (usage.setdefault(outer[0], {}) if outer else usage)[name] = odd

    assert cost(usage, url=url, own={LISTED: ModelPrice(input=1, output=1)} if url == OWN else None) is None


def test_number_of_thousands_of_digits_loses_no_answer():
    content = (
        '{"usage": {"prompt_tokens": 1, "completion_tokens": %s}, "choices": [{"message": {"content": "x"}}]}'
    )

    found = read((content % ("9" * 9000)).encode(), "chat", Prices(Settings(_env_file=None)))

    assert (found.text, found.usage, found.cost_usd) == ("x", {"input_tokens": 1}, None)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "x",
        {},
        {"prompt_tokens": 5},
        {"prompt_tokens": None},
        {"prompt_tokens": 0, "completion_tokens": 0},
    ],
)
def test_price_without_both_counts_is_unknown_and_never_zero(usage):
    assert cost(usage, own={LISTED: ModelPrice(input=1, output=1)}) is None


def test_more_cached_tokens_than_input_make_the_price_unknown():
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 1001}}

    assert cost(usage, own={LISTED: ModelPrice(input=1, output=1)}) is None


@pytest.mark.parametrize("model", [None, 7, {}, ["x"], "", "unknown"])
def test_model_of_any_form_costs_no_answer(model):
    assert cost(model=model, url=OPENAI, asked="unknown") is None


PARTS = {
    "one": [{"type": "text", "text": "{}"}],
    "several": [{"type": "text", "text": "{"}, {"type": "text", "text": "}"}],
    "without a type": [{"text": "{}"}],
    "beside reasoning": [{"type": "thinking", "thinking": "so"}, {"type": "text", "text": "{}"}],
    "odd ones": [None, 7, {"type": "text", "text": 7}, {"type": "text", "text": "{}"}],
}


@pytest.mark.parametrize("name", PARTS)
def test_chat_content_may_be_a_list_of_text_parts(name):
    assert read_chat(content=PARTS[name]).text == "{}"


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"busy", "transient", "malformed_answer"),
        (b"", "transient", "malformed_answer"),
        (b"[]", "transient", "malformed_answer"),
        (b'{"error": {"code": 502}}', "transient", "unfinished"),
        (b'{"choices": [{"finish_reason": "error"}]}', "transient", "unfinished"),
        (b'{"choices": [{"message": {"content": [{"type": "refusal"}]}}]}', "permanent", "refused"),
    ],
)
def test_reply_without_an_answer_is_told_by_its_kind(body, kind, reason):
    found = read(body, "chat", Prices(Settings(_env_file=None))).failure

    assert isinstance(found, CallFailed)
    assert (found.kind, found.reason) == (kind, reason)


def read_chat(**message):
    body = {"choices": [{"finish_reason": "stop", "message": message}]}
    return read(json.dumps(body).encode(), "chat", Prices(Settings(_env_file=None)))
