from __future__ import annotations

import json

import pytest

from askonce.errors import Permanent, Transient
from settings.environment import Settings
from tasks.prices import Prices
from tasks.providers.openai.reply import Flavour, Reply, read

GOOD = '{"word": "fine"}'
SECRET = "Ann: the password is tulip"
LISTED = Prices(Settings(_env_file=None, openai_base_url="https://api.openai.com/v1"))


def responses_body(*contents: dict, **fields) -> dict:
    return {
        "model": "gpt-6-luna",
        "status": "completed",
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "phase": "final_answer", "content": list(contents)},
        ],
        "usage": {
            "input_tokens": 12000,
            "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0},
            "output_tokens": 900,
            "output_tokens_details": {"reasoning_tokens": 30},
        },
        **fields,
    }


def text(value: str) -> dict:
    return {"type": "output_text", "text": value}


def chat_body(content: str | None = GOOD, finish: str = "stop", refusal: str | None = None, **fields) -> dict:
    return {
        "model": "gpt-6-luna",
        "choices": [{"finish_reason": finish, "message": {"content": content, "refusal": refusal}}],
        "usage": {
            "prompt_tokens": 12000,
            "completion_tokens": 900,
            "prompt_tokens_details": {"cached_tokens": 100},
        },
        **fields,
    }


def reply(body: object, flavour: Flavour = "responses") -> Reply:
    return read(json.dumps(body).encode(), flavour, LISTED)


@pytest.mark.parametrize(
    ("body", "flavour"), [(responses_body(text(GOOD)), "responses"), (chat_body(), "chat")]
)
def test_finished_reply_is_returned_with_the_list_price(body, flavour):
    found = reply(body, flavour)

    assert (found.text, found.failure) == (GOOD, None)
    assert found.cost_usd == pytest.approx(0.001641)


def test_price_follows_the_tier_that_was_billed():
    found = reply(responses_body(text(GOOD), service_tier="flex"))

    assert found.cost_usd == pytest.approx(0.0008205)


@pytest.mark.parametrize(
    "body",
    [
        responses_body(text(GOOD), model="sandbox-extractive-1"),
        responses_body(text(GOOD), model=None),
        responses_body(text(GOOD), usage=None),
        responses_body(text(GOOD), usage={"input_tokens": 10}),
        responses_body(
            text(GOOD),
            usage={"input_tokens": 1, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 9}},
        ),
    ],
)
def test_cost_that_cannot_be_known_is_unknown_and_never_zero(body):
    assert reply(body).cost_usd is None


REFUSED = [
    (responses_body({"type": "refusal", "refusal": SECRET}), "responses"),
    (responses_body(status="incomplete", incomplete_details={"reason": "content_filter"}), "responses"),
    (responses_body(status="failed", error={"code": "invalid_prompt", "message": SECRET}), "responses"),
    (chat_body(content=None, refusal=SECRET), "chat"),
    (chat_body(content=GOOD, finish="content_filter"), "chat"),
]
UNUSABLE = [
    (
        responses_body(text(GOOD), status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        "responses",
        "truncated",
    ),
    (chat_body(content=GOOD, finish="length"), "chat", "truncated"),
    (
        responses_body(status="failed", error={"code": "server_error", "message": SECRET}),
        "responses",
        "unfinished",
    ),
    (responses_body(text(GOOD), status="in_progress"), "responses", "unfinished"),
]


@pytest.mark.parametrize(("body", "flavour"), REFUSED)
def test_refusal_is_final_and_its_usage_is_booked(body, flavour):
    found = reply(body, flavour)

    assert type(found.failure) is Permanent
    assert found.failure.reason == "refused"
    assert found.usage["input_tokens"] == 12000
    assert found.cost_usd == pytest.approx(0.001641)


@pytest.mark.parametrize(("body", "flavour", "reason"), UNUSABLE)
def test_unfinished_answer_is_transient_and_its_usage_is_booked(body, flavour, reason):
    found = reply(body, flavour)

    assert type(found.failure) is Transient
    assert (found.failure.reason, found.failure.maybe_billed) == (reason, True)
    assert found.usage["input_tokens"] == 12000
    assert found.cost_usd == pytest.approx(0.001641)


def test_status_may_be_left_out():
    assert reply(responses_body(text(GOOD), status=None)).text == GOOD


def test_reasoning_text_is_not_part_of_the_answer():
    body = responses_body(text(GOOD))
    body["output"].insert(0, {"type": "message", "phase": "commentary", "content": [text("Let me see")]})

    assert reply(body).text == GOOD


def test_counts_that_are_not_whole_numbers_are_not_booked():
    usage = {"input_tokens": 3, "output_tokens": None, "input_tokens_details": {"cached_tokens": True}}

    assert reply(responses_body(text(GOOD), usage=usage)).usage == {"input_tokens": 3}


@pytest.mark.parametrize(
    "content",
    [b"<html>", b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"status": {}, "choices": 3, "output": 4}'],
)
@pytest.mark.parametrize("flavour", ["responses", "chat"])
def test_body_of_any_other_shape_has_neither_text_nor_usage(content, flavour):
    found = read(content, flavour, LISTED)

    assert (found.text, found.usage, found.cost_usd) == ("", {}, None)
