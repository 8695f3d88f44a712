"""How often an answer that cannot be used is paid, by one attempt and by all attempts of a job."""

from __future__ import annotations

import json

import httpx2
import openai
import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from askonce.attempt import Attempt, costs_of
from askonce.errors import CallFailed, Configuration, Permanent, Transient
from askonce.spend import NOTHING, Spend, spend_of_failure
from settings.environment import Settings
from settings.prices import ModelPrice
from tasks.providers.openai.model import LanguageModel

SECRET = "Ann: the password is tulip"
OPENAI, OWN = "https://api.openai.com/v1", "http://127.0.0.1:1/v1"
AZURE = "https://shop.openai.azure.com/openai/v1"
#: One call's, and its price: 10 and 2 tokens at 1 and 4 dollars for a million.
USAGE = {"input_tokens": 10, "output_tokens": 2}
PRICE = 18 / 1_000_000


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: str


GOOD = '{"word": "fine"}'
#: The model's text, and the reason of a job whose answers are all of that kind.
UNUSABLE = {
    "malformed": (SECRET, "malformed_answer"),
    "misfit": ('{"word": 7}', "answer_does_not_fit@word:string_type"),
    "empty": ("", "empty_answer"),
}


def chat(said, finish="stop", **more):
    choice = {"finish_reason": finish, "message": {"content": said}}
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    return httpx2.Response(200, json={"model": "m", "choices": [choice], "usage": usage, **more})


def responses(said, **more):
    output = [{"type": "message", "content": [{"type": "output_text", "text": said}]}]
    body = {"id": "r", "model": "m", "status": "completed", "output": output, "usage": USAGE, **more}
    return httpx2.Response(200, json=body)


def cut(written=2):
    incomplete = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    return responses("", **incomplete, usage={"input_tokens": 10, "output_tokens": written})


class Service:
    """A service that gives prepared replies in order, and the record of the one job that asks it."""

    def __init__(self, *replies, api="responses", base_url=OWN, most=None):
        self.replies, self.sent, self.kept, self.spent = list(replies), [], "", NOTHING
        prices = {"m": ModelPrice(input=1, output=4)}
        key = {"openai_api_key": SecretStr("k"), "openai_base_url": base_url}
        settings = Settings(_env_file=None, llm_api=api, llm_prices=prices, llm_max_output_tokens=most, **key)
        client = openai.OpenAI(
            api_key="k",
            base_url=base_url,
            max_retries=0,
            http_client=openai.DefaultHttpx2Client(transport=httpx2.MockTransport(self)),
        )
        self.model = LanguageModel(settings, client=client)

    def __call__(self, request):
        self.sent.append(json.loads(request.content))
        return self.replies.pop(0) if self.replies else pytest.fail("one call too many")

    def checkpoint(self, reference):
        self.kept = reference

    def attempt(self):
        fields = {"key": "k", "job": "j", "number": 1, "fence": 1, "stale": None}
        return Attempt(**fields, reference=self.kept, checkpoint=self.checkpoint, spent=self.spent)

    def ask(self, text=SECRET):
        return self.model.ask(instructions="judge", text=text, schema=Verdict, attempt=self.attempt())

    def fail(self):
        with pytest.raises(CallFailed) as caught:
            self.ask()
        assert "tulip" not in repr(caught.value.data) + self.kept
        assert caught.value.__cause__ is caught.value.__context__ is None
        self.spent = costs_of(caught.value, self.attempt()).made
        return caught.value


@pytest.mark.parametrize(("api", "reply"), [("chat", chat), ("responses", responses)])
@pytest.mark.parametrize("name", UNUSABLE)
def test_answer_that_cannot_be_used_is_asked_for_a_second_time(api, reply, name):
    service = Service(reply(UNUSABLE[name][0]), reply(GOOD), api=api)

    answer = service.ask()

    assert (answer.value, len(service.sent)) == ({"word": "fine"}, 2)
    assert answer.usage == {"input_tokens": 20, "output_tokens": 4}
    assert answer.cost_usd == pytest.approx(2 * PRICE)
    assert (answer.calls, answer.paid.calls, answer.paid.usage) == (2, 2, answer.usage)


@pytest.mark.parametrize(("api", "reply"), [("chat", chat), ("responses", responses)])
@pytest.mark.parametrize("name", UNUSABLE)
def test_answer_that_cannot_be_used_twice_is_the_end(api, reply, name):
    said, reason = UNUSABLE[name]
    service = Service(reply(said), reply(said), api=api)

    failure = service.fail()

    assert (type(failure), failure.reason, len(service.sent)) == (Permanent, reason, 2)
    spend = spend_of_failure(failure).spend
    assert (spend.calls, spend.in_doubt) == (2, 0)
    assert spend.usage == {"input_tokens": 20, "output_tokens": 4}
    assert spend.cost_usd == pytest.approx(2 * PRICE)


@pytest.mark.parametrize(
    ("api", "url", "name"),
    [
        ("responses", OPENAI, "max_output_tokens"),
        ("responses", OWN, "max_output_tokens"),
        ("chat", OPENAI, "max_completion_tokens"),
        ("chat", AZURE, "max_completion_tokens"),
        ("chat", OWN, "max_tokens"),
    ],
)
def test_cut_answer_is_asked_for_with_a_higher_limit(api, url, name):
    first, second = (cut(), responses(GOOD)) if api == "responses" else (chat("", "length"), chat(GOOD))
    service = Service(first, second, api=api, base_url=url)

    service.ask()

    limits = [{key: sent[key] for key in sent if key.startswith("max_")} for sent in service.sent]
    assert limits == [{}, {name: 8192}]


@pytest.mark.parametrize(
    ("written", "limit"),
    [(2, 8192), (4096, 8192), (5000, 10_000), (-1, 8192), (1.5, 8192), ("many", 8192), (2**60, 8192)],
)
def test_higher_limit_is_twice_what_the_cut_answer_had(written, limit):
    service = Service(cut(written), responses(GOOD))

    service.ask()

    assert service.sent[1]["max_output_tokens"] == limit


def test_answer_that_is_cut_twice_is_truncated_for_good():
    service = Service(cut(), cut(8192))

    failure = service.fail()

    assert (type(failure), failure.reason, len(service.sent)) == (Permanent, "truncated", 2)


@pytest.mark.parametrize(
    ("api", "url", "name"),
    [
        ("responses", OPENAI, "max_output_tokens"),
        ("chat", OPENAI, "max_completion_tokens"),
        ("chat", OWN, "max_tokens"),
    ],
)
def test_no_answer_may_have_more_than_the_operators_limit(api, url, name):
    first, second = (cut(), responses(GOOD)) if api == "responses" else (chat("", "length"), chat(GOOD))
    service = Service(first, second, api=api, base_url=url, most=500)

    service.ask()

    assert [sent[name] for sent in service.sent] == [500, 500]


@pytest.mark.parametrize("written", [500, 501])
def test_answer_that_is_cut_at_the_operators_limit_is_paid_once(written):
    service = Service(cut(written), most=500)

    failure = service.fail()

    assert (type(failure), failure.reason, len(service.sent)) == (Permanent, "truncated", 1)
    assert failure.data["usage"] == {"input_tokens": 10, "output_tokens": written}
    assert failure.data["cost_usd"] == pytest.approx((10 + 4 * written) / 1_000_000)


@pytest.mark.parametrize("said", [SECRET, "'max_tokens' is too large: maximum context length is 8192"])
def test_higher_limit_that_is_refused_leaves_the_answer_truncated(said):
    service = Service(cut(), httpx2.Response(400, json={"error": {"message": said}}))

    failure = service.fail()

    assert (type(failure), failure.reason) == (Permanent, "truncated")
    assert (failure.data["calls"], failure.data["usage"]) == (1, USAGE)


def test_refused_answer_is_the_end_at_once():
    service = Service(chat(SECRET, "content_filter"), api="chat")

    assert (type(service.fail()), len(service.sent)) == (Permanent, 1)


def test_unfinished_answer_is_left_to_the_next_attempt():
    failure = Service(responses("", status="in_progress")).fail()

    assert (type(failure), failure.reason, failure.maybe_billed) == (Transient, "unfinished", True)


@pytest.mark.parametrize(
    ("second", "kind", "reason", "calls"),
    [
        (responses(SECRET, status="failed", error={"code": "invalid_prompt"}), Permanent, "refused", 2),
        (responses("", status="failed"), Transient, "unfinished", 2),
        (httpx2.Response(401), Configuration, None, 1),
        (httpx2.Response(503), Transient, None, 1),
    ],
)
def test_failure_of_the_second_call_has_what_the_first_one_cost(second, kind, reason, calls):
    service = Service(responses(SECRET), second)

    failure = service.fail()

    assert isinstance(failure, kind)
    assert reason in (failure.reason, None)
    spend = spend_of_failure(failure).spend
    assert (spend.calls, spend.cost_usd) == (calls, pytest.approx(calls * PRICE))


@pytest.mark.parametrize("name", UNUSABLE)
def test_second_call_that_fails_is_made_again_without_the_first(name):
    said, reason = UNUSABLE[name]
    service = Service(responses(said), httpx2.Response(503), responses(said))
    service.fail()

    failure = service.fail()

    assert (type(failure), failure.reason, len(service.sent)) == (Permanent, reason, 3)
    assert spend_of_failure(failure).spend == Spend(usage=USAGE, cost_usd=pytest.approx(PRICE), calls=1)


def test_limit_and_price_of_the_first_call_outlive_its_attempt():
    service = Service(cut(6000), httpx2.Response(503), responses(GOOD))
    service.fail()

    answer = service.ask()

    assert service.sent[2]["max_output_tokens"] == 12_000
    assert answer.usage == {"input_tokens": 20, "output_tokens": 6002}, "what it cost to make"
    assert answer.paid == Spend(usage=USAGE, cost_usd=pytest.approx(PRICE))
    assert answer.cost_usd == pytest.approx(PRICE + 24_010 / 1_000_000)


def test_note_about_another_question_is_not_heeded():
    service = Service(responses(SECRET), httpx2.Response(503), responses(SECRET), responses(GOOD))
    service.fail()

    assert service.ask("another").value == {"word": "fine"}
    assert len(service.sent) == 4


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "{}", '{"unusable": 1}', '{"d": ["resp_1", 0]}', "[" * 50_000]
)
def test_reference_of_another_form_is_no_note(text):
    service = Service(responses(SECRET), responses(GOOD))
    service.kept = text

    assert service.ask().usage["input_tokens"] == 20
