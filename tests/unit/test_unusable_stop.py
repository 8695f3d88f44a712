"""Jobs of one question stop while no answer to it can be used: each answer counts when it comes."""

import json
from contextlib import suppress
from functools import partial

import httpx2
import openai
import pytest
from pydantic import BaseModel, SecretStr

from askonce.adapters.memory import MemoryStore
from askonce.errors import CallFailed, Postponed
from settings.environment import Settings
from tasks.providers.openai.model import LanguageModel
from tasks.providers.openai.pace import ModelPace

#: Unusable answers in a row after which a question stops.
ENOUGH = 20


class Wanted(BaseModel):
    word: str


class Other(BaseModel):
    word: str


def said(text):
    content = {"role": "assistant", "content": text}
    return httpx2.Response(200, json={"choices": [{"message": content, "finish_reason": "stop"}]})


class Scene:
    def __init__(self):
        self.replies, self.calls = [], 0
        settings = Settings(
            _env_file=None, openai_base_url="http://127.0.0.1:9/v1", openai_api_key=SecretStr("k")
        )
        client = openai.OpenAI(
            api_key="k",
            base_url=settings.openai_base_url,
            max_retries=0,
            http_client=openai.DefaultHttpx2Client(transport=httpx2.MockTransport(self.reply)),
        )
        # Time stands still: a stop ends after seconds, and a busy machine may take as long for one call.
        still = partial(float, 1000)
        self.pace = ModelPace(settings, MemoryStore(still).boards, clock=still)
        self.model = LanguageModel(settings, client=client, pace=self.pace)

    def reply(self, _request):
        self.calls += 1
        return self.replies.pop(0) if self.replies else said("prose")

    def ask(self, schema=Wanted):
        return self.model.ask(instructions="x", text="y", schema=schema)

    def fail(self):
        """Return the failure of one job, and its calls."""
        before = self.calls
        with pytest.raises(CallFailed) as caught:
            self.ask()
        return caught.value, self.calls - before


@pytest.fixture
def scene():
    return Scene()


def test_twenty_unusable_answers_stop_the_jobs_of_their_question_only(scene):
    for _ in range(ENOUGH // 2):
        scene.fail()

    failure, calls = scene.fail()

    assert (type(failure), failure.reason, calls) == (Postponed, "answers_unusable", 0)
    scene.replies = [said(json.dumps({"word": "fine"}))]
    assert {"word": "fine"} == scene.ask(Other).value


def test_job_whose_first_answer_is_the_last_straw_asks_no_second_time(scene):
    scene.replies = [said("prose"), httpx2.Response(500, json={})]
    scene.fail()
    for _ in range(ENOUGH // 2 - 1):
        scene.fail()

    failure, calls = scene.fail()

    assert (failure.reason, calls) == ("answers_unusable", 1)
    assert "usage" in failure.data


def test_call_whose_turn_comes_after_the_stop_is_not_made(scene):
    for _ in range(ENOUGH // 2):
        scene.fail()

    # Its job began before that.
    with suppress(Postponed):
        scene.model.send("x", "y", Wanted)

    assert ENOUGH == scene.calls
