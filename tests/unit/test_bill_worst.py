"""The worst case of a row: no job costs more, and where nothing bounds it that is said with the way out."""

from __future__ import annotations

import json

import httpx2
import openai
import pytest
from pydantic import SecretStr

from askonce.attempt import Attempt
from askonce.errors import CallFailed
from askonce.spend import NOTHING, spend_of_failure
from producer.bill.meter import Meter
from settings.environment import Settings
from settings.prices import ModelPrice
from tasks.meetings.prompts import PROMPTS
from tasks.providers.openai.model import LanguageModel

pytestmark = pytest.mark.long

OWN, OPENAI, MODEL = "http://127.0.0.1:1/v1", "https://api.openai.com/v1", "gpt-6-luna"
TEXT = "Ana: Wir schließen den Vertrag am Freitag. 契約は金曜日です。\n" * 20
ROW = {"meeting_id": "m", "transcript": TEXT}
LIMIT = 700
SET_IT = "set LLM_MAX_OUTPUT_TOKENS, also for the workers, or use --max-calls"


def settings(**more):
    own = {"openai_base_url": OWN, "llm_prices": {MODEL: ModelPrice(input=1.5, output=4.25)}}
    return Settings(**{"_env_file": None, "llm_max_output_tokens": LIMIT, **own, **more})


def worst(task="meetings.full", row=ROW, **more):
    return Meter(task, settings(**more)).worst_case(row)


class Greedy:
    """A service that counts a token for each byte that it is sent, and writes all tokens that it may."""

    def __init__(self, said, form, *, finish, refuses_schema=False):
        self.said, self.form, self.finish, self.refuses = said, form, finish, refuses_schema
        self.calls = 0
        self.model = LanguageModel(
            settings(llm_api=form, openai_api_key=SecretStr("k")),
            client=openai.OpenAI(
                api_key="k",
                base_url=OWN,
                max_retries=0,
                http_client=openai.DefaultHttpx2Client(transport=httpx2.MockTransport(self)),
            ),
        )

    def __call__(self, request):
        asked = json.loads(request.content)
        if self.refuses and b"json_schema" in request.content:
            refusal = {"message": "response_format json_schema is not supported", "param": "response_format"}
            return httpx2.Response(400, json={"error": refusal})
        self.calls += 1
        read, written = (
            tokens_in(asked),
            asked["max_output_tokens" if self.form == "responses" else "max_tokens"],
        )
        if self.form == "chat":
            usage = {"prompt_tokens": read, "completion_tokens": written}
            choice = {"finish_reason": self.finish, "message": {"content": self.said}}
            return httpx2.Response(200, json={"model": MODEL, "choices": [choice], "usage": usage})
        output = [{"type": "message", "content": [{"type": "output_text", "text": self.said}]}]
        usage = {"input_tokens": read, "output_tokens": written}
        body = {"id": "r", "model": MODEL, "status": "completed", "output": output, "usage": usage}
        return httpx2.Response(200, json=body)

    def cost_of(self, attempts, *, notes_arrive):
        """Return the cost and the calls of a job, where each attempt fails as its service does."""
        cost, kept = 0.0, [""]
        for number in range(1, attempts + 1):
            attempt = Attempt(
                key="k",
                job="j",
                number=number,
                fence=number,
                stale=None,
                reference=kept[-1] if notes_arrive else "",
                checkpoint=kept.append,
                spent=NOTHING,
            )
            prompt = PROMPTS["full"]
            with pytest.raises(CallFailed) as caught:
                self.model.ask(
                    instructions=prompt.instructions, text=TEXT, schema=prompt.schema, attempt=attempt
                )
            cost += spend_of_failure(caught.value).spend.cost_usd
        return cost, self.calls


def tokens_in(asked):
    """Return the bytes of every text and of the schema, and a frame for each message."""
    if isinstance(asked, str):
        return len(asked.encode())
    if "messages" in asked:
        texts = [message["content"] for message in asked["messages"]]
    elif isinstance(asked["input"], str):
        texts = [asked["instructions"], asked["input"]]
    else:
        texts = [asked["instructions"], *(message["content"] for message in asked["input"])]
    form = asked.get("response_format") or asked["text"]["format"]
    return sum(len(text.encode()) + 10 for text in texts) + len(json.dumps(form).encode())


@pytest.mark.parametrize("form", ["chat", "responses"])
@pytest.mark.parametrize("refuses_schema", [False, True])
@pytest.mark.parametrize("notes_arrive", [False, True])
@pytest.mark.parametrize(("said", "finish"), [("{", "stop"), ("", "stop"), ("{}", "stop"), ("{", "length")])
def test_no_path_of_answers_costs_more_than_the_worst_case(form, refuses_schema, notes_arrive, said, finish):
    service = Greedy(said, form, finish=finish, refuses_schema=refuses_schema)
    bound = worst()

    cost, calls = service.cost_of(3, notes_arrive=notes_arrive)

    assert calls <= bound.calls
    assert cost * 1_000_000 <= bound.micro_usd


def test_worst_case_is_reached_where_no_note_arrives():
    service = Greedy("{", "chat", finish="stop")
    bound = worst()

    cost, calls = service.cost_of(3, notes_arrive=False)

    assert calls == bound.calls == 6
    assert 0.8 * bound.micro_usd < cost * 1_000_000 <= bound.micro_usd


def test_parts_and_the_questions_that_join_them_are_bounded():
    one, split = worst(), worst(llm_max_input_chars=len(TEXT) // 3 + 60)

    assert (one.calls, one.own) == (6, True)
    assert (split.calls, split.own) == ((3 + 3) * 6, False)
    assert split.micro_usd > one.micro_usd + 5 * 6 * LIMIT * 4


def test_analysis_of_parts_is_joined_by_no_question():
    assert worst("meetings.analyze", llm_max_input_chars=len(TEXT) // 3 + 60).calls == 3 * 6


@pytest.mark.parametrize(
    ("task", "calls", "counted"), [("customers.lookup", 3, True), ("orders.enrich", 9, False)]
)
def test_calls_without_a_model_are_bounded_and_have_no_known_cost(task, calls, counted):
    assert worst(task, {"order_id": "1", "cliente_id": "7"}) == (calls, None, counted)


def test_context_bounds_what_no_limit_does():
    bound = worst(openai_base_url=OPENAI, llm_prices={}, llm_max_output_tokens=None)

    assert bound.micro_usd > 6 * 1_050_000 * 0.5


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, None),
        ({"openai_base_url": None, "llm_prices": {}, "llm_max_output_tokens": None}, None),
        (
            {"llm_prices": {}},
            f"the price of {MODEL} is unknown: set it in LLM_PRICES, or use --max-calls",
        ),
        (
            {"llm_max_output_tokens": None},
            f"no limit of the output tokens of {MODEL} is known: {SET_IT}",
        ),
    ],
    ids=["a limit", "the context", "no price", "no limit"],
)
def test_missing_bound_is_said_with_the_way_out(more, line):
    meter = Meter("meetings.full", settings(**more))

    assert meter.why_unbounded() == line
    assert (meter.worst_case(ROW).micro_usd is None) == (line is not None)


def test_task_without_a_price_is_said_with_the_way_out():
    meter = Meter("orders.enrich", settings())

    assert meter.why_unbounded() == "the price of a call of orders.enrich is unknown: use --max-calls"


def test_row_without_a_text_makes_no_call():
    assert worst(row={"meeting_id": "m"}) == (0, 0, True)


def test_dearest_tier_and_its_cache_are_in_the_bound():
    tiers = {MODEL: ModelPrice(input=1, output=4, cached=3, tiers={"priority": 2.0})}

    assert (
        worst(llm_prices=tiers).micro_usd
        > 2 * worst(llm_prices={MODEL: ModelPrice(input=1, output=4)}).micro_usd
    )
