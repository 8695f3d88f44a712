"""The stand-in reasons before it answers, and keeps to the limit of output tokens that it is given."""

import math
from statistics import median

import pytest

from sandbox.outside.ledger import read

pytestmark = [pytest.mark.integration, pytest.mark.long]

KEY = {"Authorization": "Bearer sk-sandbox"}
FORMS = {"responses": "max_output_tokens", "chat": "max_completion_tokens"}


def post(stand_in, form, text="Ana: We ship on Friday.", **more):
    path = "/v1/responses" if form == "responses" else "/v1/chat/completions"
    asked = {"input": text} if form == "responses" else {"messages": [{"role": "user", "content": text}]}
    body = stand_in.http.post(path, json={"model": "gpt-6-luna", **asked, **more}, headers=KEY).json()
    usage = body["usage"]
    if form == "responses":
        whole = body["status"] == "completed"
        assert (body["incomplete_details"] is None) == whole
        said, details = body["output"][0]["content"][0]["text"], usage["output_tokens_details"]
        return said, usage["output_tokens"], details["reasoning_tokens"], whole
    choice, details = body["choices"][0], usage["completion_tokens_details"]
    whole = choice["finish_reason"] == "stop"
    return choice["message"]["content"], usage["completion_tokens"], details["reasoning_tokens"], whole


@pytest.mark.parametrize("form", FORMS)
def test_reasoning_is_a_part_of_the_output_and_in_the_ledger(stand_in, form):
    plain = post(stand_in, form)
    stand_in.set(llm_reasoning=100)

    reasoned = post(stand_in, form)

    assert plain[2:] == (0, True)
    assert reasoned == (plain[0], plain[1] + 100, 100, True)
    assert read(stand_in.ledger).openai.output_tokens == 2 * plain[1] + 100


def test_lengths_of_reasoning_spread_around_their_median(stand_in):
    stand_in.set(llm_reasoning=1000, llm_reasoning_spread=1.0)

    lengths = [post(stand_in, "responses", f"Ana: Number {number}.")[2] for number in range(100)]

    logs = [math.log(length) for length in lengths]
    assert 600 < median(lengths) < 1700
    assert 0.7 < math.sqrt(sum((each - math.log(1000)) ** 2 for each in logs) / len(logs)) < 1.4


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("limit", "reasoning"), [(2, 0), (102, 100), (50, 50), (16, 16)])
def test_output_ends_at_the_limit_of_its_question(stand_in, form, limit, reasoning):
    stand_in.set(llm_reasoning=100 if reasoning else 0)
    whole = "We ship on Friday."

    said, tokens, reasoned, is_whole = post(stand_in, form, **{FORMS[form]: limit})

    assert (tokens, reasoned, is_whole) == (limit, reasoning, False)
    assert said == whole[: (limit - reasoning) * 4]


@pytest.mark.parametrize("form", FORMS)
def test_limit_that_is_not_reached_changes_nothing(stand_in, form):
    assert post(stand_in, form, **{FORMS[form]: 5}) == post(stand_in, form)
