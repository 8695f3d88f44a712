"""The variable LLM_PRICES: what it takes, and what it is refused for."""

from __future__ import annotations

import pytest

from settings.environment import Settings, SettingsInvalid, load
from settings.prices import ModelPrice

MARKER = "hunter2-of-ana-souza"


@pytest.fixture
def read(monkeypatch):
    """Read an environment with these prices."""

    def read(text):
        monkeypatch.setenv("ENV_FILE", "")
        monkeypatch.setenv("LLM_PRICES", text)
        load.cache_clear()
        return load().llm_prices

    yield read
    load.cache_clear()


def test_prices_are_read_by_the_name_of_their_model(read):
    found = read('{"a/b:7": {"input": 0.1, "output": 2}, "c": {"input": 0, "output": 0, "cached": 0.05}}')

    assert found == {
        "a/b:7": ModelPrice(input=0.1, output=2.0, cached=None, tiers=None),
        "c": ModelPrice(input=0.0, output=0.0, cached=0.05),
    }


def test_price_of_a_tier_is_a_share_of_the_plain_one(read):
    found = read('{"m": {"input": 1, "output": 2, "tiers": {"flex": 0.5}}}')

    assert found["m"].tiers == {"flex": 0.5}


@pytest.mark.parametrize("share", ["-0.1", '"half"', "101", "null"])
def test_share_of_a_tier_that_cannot_be_is_refused(read, share):
    with pytest.raises(SettingsInvalid, match=r"^LLM_PRICES: "):
        read(f'{{"m": {{"input": 1, "output": 2, "tiers": {{"flex": {share}}}}}}}')


@pytest.mark.parametrize("text", ["", "{}"])
def test_empty_variable_has_no_prices(read, text):
    assert read(text) == {}


def test_settings_take_prices_as_they_are():
    prices = {"m": ModelPrice(input=1, output=1)}

    assert Settings(_env_file=None, llm_prices=prices).llm_prices == prices


FORMS = [
    "0.1",
    "gpt",
    "[]",
    '{"m": 1}',
    '{"m": {"in": 1}}',
    '{"m": {"input": 1, "output": 1, "x": 1}}',
    "{",
    "[" * 9000,
]


@pytest.mark.parametrize("text", FORMS)
def test_text_of_another_form_is_refused_with_an_example(read, text):
    refused(read, text, r"^LLM_PRICES: .*(must be JSON such as|input of a model: Field required)")


PRICES = ["-1", '"1"', "true", "null", "[]", "1000001", "1e400", "NaN", "Infinity"]


@pytest.mark.parametrize("price", PRICES)
@pytest.mark.parametrize("name", ["input", "output", "cached"])
def test_price_that_is_none_is_refused_by_its_name(read, name, price):
    if (name, price) == ("cached", "null"):
        return
    fields = {"input": "1", "output": "1"} | {name: price}
    text = ", ".join(f'"{field}": {value}' for field, value in fields.items())

    refused(read, f'{{"{MARKER}": {{{text}}}}}', f"^LLM_PRICES: .*{name} of a model: ")


@pytest.mark.parametrize("name", ["input", "output"])
def test_price_that_is_missing_is_named(read, name):
    other = {"input": "output", "output": "input"}[name]

    refused(read, f'{{"{MARKER}": {{"{other}": 1}}}}', f"^LLM_PRICES: .*{name} of a model: Field required")


def refused(read, text, match):
    with pytest.raises(SettingsInvalid, match=match) as caught:
        read(text)
    assert MARKER not in str(caught.value)
