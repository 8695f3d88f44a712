"""Replies that name no usual failure: in doubt, counted in another way, or never to be used."""

import json

import pytest
from pydantic import SecretStr

from askonce.adapters.memory import MemoryStore
from askonce.answer import Answer
from askonce.attempt import Attempt, run
from askonce.errors import CallFailed, Configuration, Permanent, Postponed, RecordDamaged, Transient
from askonce.inline import Resting
from askonce.spec import JobSpec
from settings.environment import Settings
from tasks.meetings.prompts import MeetingSummary
from tasks.orders.body import UNKNOWN, enrich
from tasks.prices import Prices
from tasks.providers.customers import Customers
from tasks.providers.openai.model import LanguageModel
from tasks.providers.openai.pace import ModelPace
from tasks.providers.openai.reply import read
from tasks.providers.openai.twice import ask_twice

#: As Groq reports what its model said: it was paid, and nobody says how much.
IN_DOUBT = Transient("malformed_answer", maybe_billed=True)


def failing(*ends):
    """Return what asks the model: its calls end like this, one after the other."""
    left = list(ends)

    def ask(_limit):
        end = left.pop(0)
        if isinstance(end, CallFailed):
            raise end
        return end

    return ask


def failure_of(*ends):
    with pytest.raises(CallFailed) as caught:
        ask_twice(failing(*ends))
    return caught.value


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        (Transient("malformed_answer", usage={"input_tokens": 5}, cost_usd=0.01), Permanent),
        (Postponed("rate_limited", retry_after=2.0), Transient),
    ],
    ids=["unusable", "refused"],
)
def test_first_answer_in_doubt_makes_the_cost_unknown_and_uses_an_attempt(second, kind):
    failure = failure_of(IN_DOUBT, second)

    assert kind is type(failure)
    assert failure.data["cost_usd"] is None
    assert failure.data["calls"] == (2 if kind is Permanent else 1)


def test_first_answer_in_doubt_makes_the_cost_of_the_second_unknown():
    answer = ask_twice(failing(IN_DOUBT, Answer(value=1, cost_usd=0.01, usage={"input_tokens": 5})))

    assert (None, 2) == (answer.cost_usd, answer.paid.calls)


@pytest.mark.parametrize(
    ("given", "written", "whole", "output"),
    [(20, 198, 623, 603), (21, 0, 81, 60), (210, 80, 290, 80), (210, 4096, 290, 4096), (20, 198, "x", 198)],
)
def test_thinking_beside_the_output_is_output(given, written, whole, output):
    usage = {"prompt_tokens": given, "completion_tokens": written, "total_tokens": whole}
    body = {"choices": [{"finish_reason": "stop", "message": {"content": "{}"}}], "usage": usage}

    reply = read(json.dumps(body).encode(), "chat", Prices(Settings(_env_file=None)))

    assert {"input_tokens": given, "output_tokens": output} == reply.usage


#: Why the answer ended, in a service's own words -> what that means.
ENDINGS = {
    "model_length": "truncated",
    "MAX_TOKENS": "truncated",
    "content_filter: PROHIBITED_CONTENT": "refused",
    "SAFETY": "refused",
    "RECITATION": "refused",
    "insufficient_system_resource": "unfinished",
    "abort": "unfinished",
}


@pytest.mark.parametrize(("said", "reason"), ENDINGS.items())
def test_end_in_the_words_of_a_single_service_has_its_meaning(said, reason):
    body = {"choices": [{"finish_reason": said, "message": {"content": "{"}}]}

    failure = read(json.dumps(body).encode(), "chat", Prices(Settings(_env_file=None))).failure

    assert reason == failure.reason


@pytest.mark.parametrize("why", [["length"], {"length": 1}, 7])
def test_odd_end_of_a_response_is_unfinished(why):
    body = {"status": "incomplete", "incomplete_details": {"reason": why}}

    failure = read(json.dumps(body).encode(), "responses", Prices(Settings(_env_file=None))).failure

    assert "unfinished" == failure.reason


@pytest.mark.parametrize("key", ["sk-1\nsk-2", "sk\0-1", "sk-\u00e9"], ids=["two lines", "zero", "accent"])
def test_key_that_no_header_can_carry_is_no_key(key):
    own = {"openai_base_url": "http://127.0.0.1:9/v1", "openai_api_key": SecretStr(key)}
    settings = Settings(_env_file=None, **own)

    with pytest.raises(Configuration, match="no_api_key"):
        LanguageModel(settings).ask(instructions="x", text="y", schema=MeetingSummary)


@pytest.mark.parametrize("reason", ["reply_encoding_unsupported", "reply_too_large"])
def test_replies_that_no_question_changes_stop_their_question(reason):
    settings = Settings(_env_file=None, openai_base_url="http://127.0.0.1:9/v1")
    model = LanguageModel(settings, pace=ModelPace(settings, MemoryStore().boards))
    asked = []

    def ask():
        asked.append(1)
        raise Transient(reason, maybe_billed=True)

    for _ in range(20):
        with pytest.raises(Transient, match=reason):
            model.counted(MeetingSummary, ask)

    with pytest.raises(Postponed, match=reason):
        model.counted(MeetingSummary, ask)
    assert 20 == len(asked)


class Caller:
    """Ends each call of a customer in the same way."""

    def __init__(self, error):
        self.error, self.longest_rest = error, None

    def call(self, *_, longest_rest, **__):
        self.longest_rest = longest_rest
        raise self.error


@pytest.mark.parametrize(
    "error", [Resting(20.0), RecordDamaged(key="k", reason="no hash")], ids=["resting", "damaged"]
)
def test_order_does_not_wait_for_its_customer_nor_fail_with_it(error):
    caller = Caller(error)

    class Resources:
        customers = Customers(caller, None, JobSpec())

    attempt = Attempt(key="k", job="j", number=1, fence=1, stale=None, reference="", checkpoint=print)
    answer = run(lambda: enrich({"cliente_id": "7"}, Resources()), attempt)

    assert ({"cliente_nome": UNKNOWN, "cliente_fonte": "default"}, "default") == (answer.value, answer.source)
    assert caller.longest_rest <= 1.0
