"""No answer of a real service, given to each attempt of a job, costs more than the worst case of its row."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from askonce.attempt import Attempt
from askonce.errors import CallFailed, Transient
from askonce.spend import NOTHING
from producer.bill.meter import Meter
from sandbox.outside import openai_wire
from sandbox.outside.answers import read as read_answers
from sandbox.outside.ledger import read
from settings.environment import Settings
from settings.prices import ModelPrice
from tasks.meetings.prompts import PROMPTS
from tasks.providers.openai.model import LanguageModel

pytestmark = [pytest.mark.integration, pytest.mark.long]

ANSWERS = read_answers(Path(__file__).parents[1] / "answers.jsonl")
#: The stand-in's own price, and a model that reasons for longer than its answers may be.
PRICES = {"gpt-6-luna": ModelPrice(input=openai_wire.PRICE["input"], output=openai_wire.PRICE["output"])}
ROW = {"meeting_id": "m", "transcript": "Ana: We ship on Friday. ROW-1"}
LIMIT = 900


@pytest.fixture(scope="module")
def service(tmp_path_factory, stand_in_started):
    with stand_in_started(tmp_path_factory.mktemp("ledger")) as running:
        yield running


def settings_of(service, form):
    own = {"openai_base_url": service.openai_base_url, "llm_api": form, "llm_timeout": 60.0}
    key = SecretStr("sk-1")
    return Settings(_env_file=None, openai_api_key=key, llm_prices=PRICES, llm_max_output_tokens=LIMIT, **own)


def attempts_at(model, operation):
    """Make all attempts of one job, as a worker does, until one of them ends it."""
    kept, prompt = [""], PROMPTS[operation]
    for number in (1, 2, 3):
        attempt = Attempt(
            key="k",
            job="j",
            number=number,
            fence=number,
            stale=None,
            reference=kept[-1],
            checkpoint=kept.append,
            spent=NOTHING,
        )
        try:
            model.ask(
                instructions=prompt.instructions,
                text=ROW["transcript"],
                schema=prompt.schema,
                attempt=attempt,
            )
        except Transient:
            continue
        except CallFailed:
            return
        return


@pytest.mark.parametrize("form", ["chat", "responses"])
@pytest.mark.parametrize(
    "reasoning", [0, *(pytest.param(each, marks=pytest.mark.long) for each in (600, 5000))]
)
@pytest.mark.parametrize("expect", ["answer", "once_more", "attempt"])
def test_ledger_of_every_row_is_within_its_worst_case(service, form, reasoning, expect, monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    settings, price = settings_of(service, form), openai_wire.PRICE
    model = LanguageModel(settings)
    played = [
        each
        for each in ANSWERS.values()
        if each.expect == expect and each.form in (form, "both") and each.reason != "timeout" and not each.way
    ]
    assert len(played) >= 5

    for answer in played:
        operation = answer.task.rpartition(".")[2] or "extract"
        bound = Meter(f"meetings.{operation}", settings).worst_case(ROW)
        # Once by name, then the ordinary answer after its reasoning.
        service.set(script={"ROW-1": [answer.name]}, llm_reasoning=reasoning)
        before = read(service.ledger).openai
        attempts_at(model, operation)
        after = read(service.ledger).openai

        paid = (after.input_tokens - before.input_tokens) * price["input"]
        paid += (after.output_tokens - before.output_tokens) * price["output"]
        assert after.answered - before.answered <= bound.calls, answer.name
        assert paid <= bound.micro_usd, answer.name
    model.close()
