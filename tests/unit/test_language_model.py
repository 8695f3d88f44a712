from __future__ import annotations

import json
import traceback
from pathlib import Path

import httpx2
import openai
import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from askonce.errors import CallFailed, Configuration, Permanent, Postponed, Transient
from settings.environment import Settings
from tasks.providers.openai.model import LanguageModel

SECRET = "Ann: the password is tulip"


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: str
    score: float


GOOD = '{"word": "fine", "score": 0.5}'


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "OPENAI_BASE_URL", "OPENAI_MODEL", "LLM_API"):
        monkeypatch.delenv(name, raising=False)


def settings(**fields) -> Settings:
    return Settings(_env_file=None, openai_api_key=SecretStr("k"), **fields)


class Service:
    """Answers every request with the same reply, and remembers the requests."""

    def __init__(self, reply: httpx2.Response | Exception):
        self.reply = reply
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    def model(self, **fields) -> LanguageModel:
        chosen = settings(**fields)
        client = openai.OpenAI(
            api_key="k",
            base_url=chosen.openai_base_url or "https://api.openai.com/v1",
            max_retries=0,
            http_client=openai.DefaultHttpx2Client(transport=httpx2.MockTransport(self)),
        )
        return LanguageModel(chosen, client=client)

    def sent(self) -> dict:
        return json.loads(self.requests[0].content)


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


CHAT = {
    "model": "gpt-6-luna",
    "choices": [{"finish_reason": "stop", "message": {"content": GOOD}}],
    "usage": {"prompt_tokens": 12000, "completion_tokens": 900},
}


def ok(body: object) -> httpx2.Response:
    return httpx2.Response(200, json=body)


def ask(model: LanguageModel):
    return model.ask(instructions="judge", text=SECRET, schema=Verdict)


def failure_of(reply: httpx2.Response | Exception, **fields) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        ask(Service(reply).model(**fields))
    return caught.value


def test_answer_is_plain_data_with_usage_and_list_price():
    answer = ask(Service(ok(responses_body(text(GOOD)))).model())

    assert answer.value == {"word": "fine", "score": 0.5}
    assert answer.source == "call"
    assert answer.cost_usd == pytest.approx(0.001641)
    assert answer.usage == {
        "input_tokens": 12000,
        "output_tokens": 900,
        "cached_tokens": 100,
        "cache_write_tokens": 0,
        "reasoning_tokens": 30,
    }


def test_responses_request_is_strict_and_not_kept_by_the_service():
    service = Service(ok(responses_body(text(GOOD))))

    ask(service.model(openai_model="gpt-6-sol"))

    sent = service.sent()
    assert service.requests[0].url.path == "/v1/responses"
    assert (sent["model"], sent["instructions"], sent["input"]) == ("gpt-6-sol", "judge", SECRET)
    assert sent["store"] is False
    assert sent["text"]["format"] == {
        "type": "json_schema",
        "name": "Verdict",
        "strict": True,
        "schema": Verdict.model_json_schema(),
    }


def test_chat_request_has_only_fields_that_every_host_accepts():
    service = Service(ok(CHAT))

    answer = ask(service.model(openai_base_url="http://127.0.0.1:1/v1"))

    assert service.requests[0].url.path == "/v1/chat/completions"
    assert sorted(service.sent()) == ["messages", "model", "response_format"]
    assert answer.value == {"word": "fine", "score": 0.5}
    assert answer.usage == {"input_tokens": 12000, "output_tokens": 900}


def test_chat_request_to_openai_is_not_kept_by_the_service():
    service = Service(ok(CHAT))

    ask(service.model(llm_api="chat"))

    assert service.sent()["store"] is False


@pytest.mark.parametrize(
    ("llm_api", "base_url", "path"),
    [
        ("auto", None, "/v1/responses"),
        ("auto", "https://api.openai.com/v1", "/v1/responses"),
        ("auto", "https://eu.api.openai.com/v1", "/v1/responses"),
        ("auto", "https://api.openai.com.example.org/v1", "/v1/chat/completions"),
        ("auto", "http://127.0.0.1:1/v1", "/v1/chat/completions"),
        ("responses", "http://127.0.0.1:1/v1", "/v1/responses"),
        ("chat", None, "/v1/chat/completions"),
    ],
)
def test_flavour_is_as_configured_or_follows_the_host(llm_api, base_url, path):
    service = Service(httpx2.Response(500))

    with pytest.raises(Transient):
        ask(service.model(llm_api=llm_api, openai_base_url=base_url))

    assert service.requests[0].url.path == path


CUT = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
NO_ANSWER = [
    (responses_body({"type": "refusal", "refusal": SECRET}), 1, "refused"),
    (responses_body(text(GOOD), **CUT), 2, "truncated"),
    (
        responses_body(text(f'{{"word": "{SECRET}", "score": "{SECRET}"}}')),
        2,
        "answer_does_not_fit@score:float_parsing",
    ),
    (responses_body(text(f'{{"word": "{SECRET}"}}')), 2, "answer_does_not_fit@score:missing"),
    (responses_body(text(GOOD[:-4])), 2, "malformed_answer"),
    (responses_body(text(SECRET)), 2, "malformed_answer"),
    (responses_body(), 2, "empty_answer"),
]


@pytest.mark.parametrize(("body", "calls", "reason"), NO_ANSWER)
def test_reply_without_a_usable_answer_reports_what_it_cost(body, calls, reason):
    service = Service(ok(body))

    with pytest.raises(Permanent) as caught:
        ask(service.model())

    assert (caught.value.reason, len(service.requests)) == (reason, calls)
    assert caught.value.data["usage"]["input_tokens"] == calls * 12000
    assert caught.value.data["cost_usd"] == pytest.approx(calls * 0.001641)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx2.ReadTimeout("late"), "timeout"),
        (httpx2.WriteTimeout("late"), "timeout"),
        (httpx2.ReadError("reset"), "connection_lost"),
        (httpx2.WriteError("reset"), "connection_lost"),
        (httpx2.RemoteProtocolError("closed"), "connection_lost"),
    ],
)
def test_broken_connection_may_be_billed_if_the_request_left(error, reason):
    failure = failure_of(error)

    assert isinstance(failure, Transient)
    assert (failure.reason, failure.maybe_billed) == (reason, True)


@pytest.mark.parametrize(
    "kind", [httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError]
)
def test_connection_that_was_never_made_uses_no_attempt(kind):
    failure = failure_of(kind("refused"))

    assert (type(failure), failure.data) == (Postponed, {"reason": "connect_failed", "retry_after": None})


@pytest.mark.parametrize(
    ("status", "code", "kind", "reason"),
    [
        (429, "rate_limit_exceeded", Postponed, "rate_limited"),
        (503, None, Transient, "unavailable"),
        (429, "insufficient_quota", Configuration, "no_credit"),
        (401, "invalid_api_key", Configuration, "invalid_key"),
        (404, "model_not_found", Configuration, "model_not_found"),
        (400, "invalid_value", Permanent, "invalid_request"),
    ],
)
def test_status_of_the_service_is_mapped_by_the_one_table(status, code, kind, reason):
    failure = failure_of(httpx2.Response(status, json={"error": {"code": code, "message": SECRET}}))

    assert type(failure) is kind
    assert failure.reason == reason


def test_retry_after_of_the_service_is_passed_on():
    failure = failure_of(httpx2.Response(429, headers={"Retry-After": "17"}))

    assert failure.retry_after == 17.0


@pytest.mark.parametrize(("status", "maybe_billed"), [(500, True), (503, False), (502, True), (504, True)])
def test_server_that_broke_off_may_have_been_billed(status, maybe_billed):
    assert failure_of(httpx2.Response(status)).maybe_billed is maybe_billed


def test_client_never_retries_by_itself():
    service = Service(httpx2.Response(503, headers={"x-should-retry": "true"}))
    built = LanguageModel(settings())

    with pytest.raises(Transient):
        ask(service.model())

    assert len(service.requests) == 1
    assert built._client.max_retries == 0


def test_built_client_has_the_timeout_of_the_settings():
    built = LanguageModel(settings(llm_timeout=33.0, openai_base_url="http://127.0.0.1:1/v1"))

    assert built._client.timeout == openai.Timeout(33.0, connect=5.0)
    assert str(built._client.base_url) == "http://127.0.0.1:1/v1/"


@pytest.mark.parametrize(
    "key",
    [
        *({"openai_api_key": SecretStr(text)} for text in ("", " \n", "schlüssel")),
        {"openai_api_key_file": Path("absent")},
        {},
    ],
)
def test_missing_key_fails_the_call_not_the_construction(key):
    model = LanguageModel(Settings(_env_file=None, **key))

    with pytest.raises(Configuration) as caught:
        ask(model)

    assert caught.value.reason == "no_api_key"


@pytest.mark.parametrize(
    "reply",
    [
        httpx2.Response(400, json={"error": {"code": SECRET, "message": SECRET}}),
        httpx2.Response(500, text=SECRET),
        httpx2.ReadTimeout(SECRET),
        httpx2.ReadError(SECRET),
        *(ok(body) for body, _, _ in NO_ANSWER),
        httpx2.Response(200, text=SECRET),
        httpx2.Response(200, text=f"<html>{SECRET}"),
        ok(SECRET),
    ],
)
def test_no_error_carries_text_of_the_payload_or_the_provider(reply):
    failure = failure_of(reply)

    assert isinstance(failure, CallFailed)
    shown = "".join(traceback.format_exception(failure)) + repr(failure.data)
    assert "tulip" not in shown
    assert failure.__context__ is None
    assert failure.__cause__ is None
